//go:build !unix

package outlet

import (
	"errors"
	"net"
	"syscall"
)

// plain decides which way a connection takes: here all take the one that waits.
func plain(net.Conn) syscall.RawConn { return nil }

func tryWrite(syscall.RawConn, []byte) (int, error) { return 0, errors.ErrUnsupported }

func tryRead(syscall.RawConn, []byte) (int, error) { return 0, errors.ErrUnsupported }
