import CRDKafka
import Streams
import Testing

@testable import KafkaBinder

@Suite struct KafkaConfigurationTests {
    @Test func `a URI names brokers, credentials and options`() throws {
        let full = try KafkaConfiguration(
            uri: "kafkas://us%40er:p%3Aa%2Fss@one:5000,[::1]:5001,two?sasl=SCRAM-SHA-256&groups=destination&partitions=6&replicas=3"
                + "&create-topics=false&add-partitions=true&cooperative=true&compression=lz4&cafile=/ca.pem&certfile=/c.pem&keyfile=/k.pem&verify=false"
        )
        #expect(full.addresses == [.init(host: "one", port: 5000), .init(host: "::1", port: 5001), .init(host: "two", port: 9092)])
        #expect(full.sasl == .init(mechanism: .scramSHA256, user: "us@er", password: "p:a/ss"))
        #expect(full.groupNaming == .destination && full.defaultPartitions == 6 && full.replicationFactor == 3)
        #expect(!full.createsTopics && full.addsPartitions && full.cooperative && full.compression == "lz4")
        #expect(
            full.tls?.authorities == "/ca.pem" && full.tls?.certificate == "/c.pem" && full.tls?.key == "/k.pem"
                && full.tls?.verifiesPeer == false)
        let bare = try KafkaConfiguration(uri: "kafka://h/")
        #expect(bare.addresses == [.init(host: "h", port: 9092)] && bare.sasl == nil && bare.tls == nil && bare.groupNaming == .group)
    }

    @Test(arguments: [
        "http://h", "kafka://", "kafka:///", "kafka://h:0", "kafka://h:99999", "kafka://u:secret@h:x", "kafka://u@h", "kafka://u:%zz@h",
        "kafka://u:secret@",
        "kafka://h?sasl=PLAIN", "kafka://u:secret@h?sasl=X", "kafka://h?partitions=0", "kafka://h?no=1", "kafka://h?cafile=x",
        "kafka://h?cooperative=maybe",
        "kafka://h?groups=x", "kafka://h?compression=rar", "kafka://a b",
    ]) func `a URI that cannot be used is invalid, and never shows the password`(_ uri: String) {
        do {
            _ = try KafkaConfiguration(uri: uri)
            Issue.record("\(uri) was taken")
        } catch {
            #expect(error.code == .invalid)
            #expect(!error.message.contains("secret"))
        }
    }

    @Test func `the library takes every setting, and one that it does not know is refused without its value`() throws {
        var configuration = try KafkaConfiguration(uri: "kafkas://u:p@h:1?sasl=SCRAM-SHA-512")
        _ = try KafkaHandle(RD_KAFKA_PRODUCER, configuration.producer)
        _ = try KafkaHandle(RD_KAFKA_CONSUMER, configuration.inspector)
        configuration.cooperative = true
        _ = try KafkaHandle(RD_KAFKA_CONSUMER, configuration.consumer(group: "g"))
        configuration.properties = ["no.such.setting": "s3cret"]
        let error = #expect(throws: BinderError.self) { try KafkaHandle(RD_KAFKA_PRODUCER, configuration.producer) }
        #expect(error?.code == .invalid && error?.message.contains("no.such.setting") == true && error?.message.contains("s3cret") == false)
    }

    @Test func `positions are read back, and other texts are invalid`() throws {
        for text in ["0:12", "0:-1", "0:12,1:7", "0:12@1700000000000", "3:5@0"] { #expect(try KafkaPosition(text).text == text) }
        for text in ["", "0", "0:", ":1", "0:1,", "0:-2", "-1:0", "0:1@", "0:1@x", "0:9223372036854775807", "a:b", "0:1,1"] {
            let error = #expect(throws: BinderError.self) { try KafkaPosition(text) }
            #expect(error?.code == .invalid)
        }
    }

    @Test func `names that Kafka does not take are invalid`() throws {
        let group = try ConsumerGroup("g")
        for name in ["größe", "a:b", "a+b", ".", ".."] {
            #expect(throws: BinderError.self) { try KafkaNames(Destination(name), group, .group) }
        }
        #expect(throws: BinderError.self) {
            try KafkaNames(Destination(String(repeating: "a", count: 180)), ConsumerGroup(String(repeating: "g", count: 80)), .group)
        }
        let names = try KafkaNames(Destination("a.b"), group, .group)
        #expect(names.groupID == "g" && names.deadLetters == "error.a.b.g" && names.retries == "retry.a.b.g")
        #expect(try KafkaNames(Destination("a.b"), group, .destination).groupID == "a.b.g")
    }
}
