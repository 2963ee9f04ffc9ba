package ws

// Close codes decide whether and how a client comes back.
const (
	CloseNormal       = 1000 // the client said goodbye
	CloseProtocol     = 1002 // a frame broke RFC 6455
	CloseInvalidText  = 1007 // a text frame was not UTF-8
	CloseTooBig       = 1009 // a frame was over the size limit
	CloseInternal     = 1011 // our mistake: come back with back-off
	CloseRestart      = 1012 // the server stops: come back with jitter
	CloseTryLater     = 1013 // overload: come back with jitter
	CloseUnauthorized = 4401 // the token has ended: stop until there is a new one
	CloseForbidden    = 4403 // stop
	CloseTooSlow      = 4408 // too slow to read or to answer: back off
	CloseOverLimit    = 4429 // kept on over the limit: back off
)
