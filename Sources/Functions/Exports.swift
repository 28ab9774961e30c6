// Envelopes, destinations and errors are Streams' own: whoever writes a handler imports one module.
@_exported public import Streams
