//go:build unix

package outlet

import (
	"io"
	"net"
	"sync"
	"syscall"
)

// plain decides which way a connection takes: it returns how to write to it without waiting, nil if that cannot be. What a listener wraps
// is used as it is.
func plain(conn net.Conn) syscall.RawConn {
	var err error
	var raw syscall.RawConn
	switch c := conn.(type) {
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		raw, err = c.SyscallConn()
	}
	if err != nil {
		return nil
	}
	return raw
}

// call is a system call that does not wait. It is lent: a func for each call would be an allocation for each.
type call struct {
	data        []byte
	n           int
	err         error
	read, write func(fd uintptr) bool
}

var calls = sync.Pool{New: func() any {
	c := new(call)
	c.read = func(fd uintptr) bool { return c.do(syscall.Read, fd) }
	c.write = func(fd uintptr) bool { return c.do(syscall.Write, fd) }
	return c
}}

func (c *call) do(f func(int, []byte) (int, error), fd uintptr) bool {
	for {
		if c.n, c.err = f(int(fd), c.data); c.err != syscall.EINTR {
			return true // never to be called again when the descriptor is ready
		}
	}
}

// end gives it back.
func (c *call) end(failed error) (n int, err error) {
	if n, err = c.n, c.err; failed != nil {
		n, err = 0, failed
	}
	c.data, c.n, c.err = nil, 0, nil
	calls.Put(c)
	if n < 0 {
		n = 0
	}
	return n, err
}

// tryWrite writes what the system takes at once.
func tryWrite(raw syscall.RawConn, data []byte) (n int, err error) {
	c := calls.Get().(*call)
	c.data = data
	if n, err = c.end(raw.Write(c.write)); err == syscall.EAGAIN {
		err = nil
	}
	return n, err
}

// tryRead reads what is there; nothing is ErrIdle.
func tryRead(raw syscall.RawConn, p []byte) (n int, err error) {
	c := calls.Get().(*call)
	c.data = p
	n, err = c.end(raw.Read(c.read))
	switch {
	case err == syscall.EAGAIN:
		err = ErrIdle
	case err == nil && n == 0:
		err = io.EOF
	}
	return n, err
}
