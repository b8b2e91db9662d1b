package session

import "unsafe"

// Size is that of a session, without what it refers to.
const Size = unsafe.Sizeof(Session{})
