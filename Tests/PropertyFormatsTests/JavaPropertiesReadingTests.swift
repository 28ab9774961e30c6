import PropertyFormats
import Testing

@Suite struct JavaPropertiesReadingTests {
    @Test(arguments: [
        ("a=1\nb:2\nc 3\nd\t4\ne = spaced out \nf\ng=", "a=\"1\" b=\"2\" c=\"3\" d=\"4\" e=\"spaced out \" f=\"\" g=\"\""),
        ("h\\ i=v\nj\\:k=v\nl\\=m=v\n\\#h=v", "h i=\"v\" j:k=\"v\" l=m=\"v\""),
        ("n=tab\\there\np=back\\\\slash\nq=C:\\temp\\new", "n=\"tab\there\" p=\"back\\slash\" q=\"C:\temp\new\""),
        ("r=\\u00e9\\u65E5\\ud83d\\ude00", "r=\"é日😀\""),
        ("t=trailing\\ ", "t=\"trailing \""),
        ("  u  =  leading\n# comment\n! comment\nv=a # not", "u=\"leading\" v=\"a # not\""),
        ("w=one,\\\n    two,\\\n  three\nx==y\nz=::", "w=\"one,two,three\" x=\"=y\" z=\"::\""),
        ("aa=\\\nab\nac=x\\\n", "aa=\"ab\" ac=\"x\""),
        ("a=1\rb=2\r", "a=\"1\" b=\"2\""), ("a=1\r\nb=x\\\r\n  y\r\n", "a=\"1\" b=\"xy\""),
        ("a=1\nb=2\na=3", "a=\"3\" b=\"2\""),
        ("x[]=p,q , r\ny[]=\nz[]=a,", "x[0]=\"p\" x[1]=\"q \" x[2]=\"r\" y[0]=\"\" z[0]=\"a\""),
        ("a=x\\0y", "a=\"x0y\""), ("=v", ""), ("", ""), ("# only", ""),
        ("a=1\n#---\na=2\n#---\n#---\na=3", "a=\"1\" | a=\"2\" | a=\"3\""),
        ("a=1\n!---\nb=2\n#---  \nc=3\n #---\nd=4\n#----\ne=5", "a=\"1\" | b=\"2\" | c=\"3\" d=\"4\" e=\"5\""),
        ("a=1\n# box\n#---\n# box\nb=2", "a=\"1\" b=\"2\""),
        ("a=1\n#---\n# comment\nb=2", "a=\"1\" b=\"2\""),
        ("a=1\n#\\\nb=2", "a=\"1\" b=\"2\""),
    ])
    func `a file is read as Spring Boot reads it`(text: String, properties: String) {
        #expect(read(text, "t.properties") == properties)
    }

    @Test func `each value knows where it stands, an empty one at the start of the next line`() {
        #expect(
            read("a=1\ne = x\nf\nu=\n  u  =  l\nw=\\\nab\nx[]=p,q , r\n", "t.properties", origins: true)
                == "a=\"1\"@1:3 e=\"x\"@2:5 f=\"\"@4:0 u=\"l\"@5:9 w=\"ab\"@7:1 x[0]=\"p\"@8:5 x[1]=\"q \"@8:7 x[2]=\"r\"@8:11")
    }

    @Test func `bytes are Latin-1 unless the option says UTF-8`() {
        #expect(read([0x61, 0x3D, 0xFC], "t.properties") == "a=\"ü\"")
        #expect(read("a=ü", "t.properties") == "a=\"Ã¼\"")
        #expect(read("a=ü", "t.properties", options: .init(propertiesEncoding: .utf8)) == "a=\"ü\"")
        #expect(read("\u{FEFF}a=1", "t.properties") == "ï»¿a=\"1\"")
        #expect(read("\u{FEFF}a=1", "t.properties", options: .init(propertiesEncoding: .utf8)) == "a=\"1\"")
    }

    @Test(arguments: ["a=\\u12", "a=\\uZZZZ", "a=\\u00"])
    func `a broken escape is told with its place`(text: String) {
        #expect(read(text, "t.properties").hasPrefix("!t.properties:1:3: \\u must be followed"))
    }

    @Test func `one half of a surrogate pair is replaced`() {
        #expect(read("b=\\uD83Dx", "t.properties") == "b=\"\u{FFFD}x\"")
    }
}
