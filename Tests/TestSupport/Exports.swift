// `eventually`, `within` and what else the conformance suite waits with: every test uses it, and a test imports one module for its support.
@_exported public import BinderConformance
