import Testing

@Suite struct LanguageFeaturesTests {
    @Test func `every upcoming feature of the manifest is on`() {
        var off: [String] = []
        #if !hasFeature(ExistentialAny)
            off.append("ExistentialAny")
        #endif
        #if !hasFeature(InternalImportsByDefault)
            off.append("InternalImportsByDefault")
        #endif
        #if !hasFeature(MemberImportVisibility)
            off.append("MemberImportVisibility")
        #endif
        #if !hasFeature(NonisolatedNonsendingByDefault)
            off.append("NonisolatedNonsendingByDefault")
        #endif
        #if !hasFeature(InferIsolatedConformances)
            off.append("InferIsolatedConformances")
        #endif
        #if !hasFeature(ImmutableWeakCaptures)
            off.append("ImmutableWeakCaptures")
        #endif
        #expect(off == [])
    }
}
