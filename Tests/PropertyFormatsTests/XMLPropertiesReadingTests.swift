import PropertyFormats
import Testing

@Suite struct XMLPropertiesReadingTests {
    private static let head =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE properties SYSTEM \"http://java.sun.com/dtd/properties.dtd\">\n"

    @Test(arguments: [
        ("<properties><entry key=\"a\">1</entry><entry key='b.c'> x </entry></properties>", "a=\"1\" b.c=\" x \""),
        ("<properties version=\"1.0\"><comment>c &amp; d</comment>\n<!-- n --><entry key=\"a\"/></properties>\n", "a=\"\""),
        ("<properties><entry key=\"a&lt;\">&lt;x&gt; &#65;&#x1F600; <![CDATA[<&]]></entry></properties>", "a<=\"<x> A😀 <&\""),
        ("<properties/>", ""),
    ])
    func `Java's form is read`(text: String, properties: String) {
        #expect(read(Self.head + text, "t.xml") == properties)
        #expect(read(text, "t.xml") == properties)
    }

    @Test(arguments: [
        "", "<a>x</a>", "<properties>", "<properties><entry>1</entry></properties>", "<properties><entry key=\"a\">1</properties>",
        "<properties><entry key=\"a\">&x;</entry></properties>", "<properties><x/></properties>", "<properties/><properties/>",
        "<!DOCTYPE properties [<!ENTITY x \"y\">]><properties><entry key=\"a\">&x;</entry></properties>",
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><properties/>", "<properties><entry key=\"a\" key=\"b\"/></properties>",
        "<properties><entry key=\"a\"><b/></entry></properties>", "<properties><entry key=a/></properties>", "<!-- never ends",
    ])
    func `anything else is refused`(text: String) {
        #expect(read(text, "t.xml").hasPrefix("!t.xml:"))
    }
}
