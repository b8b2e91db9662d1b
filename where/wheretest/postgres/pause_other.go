//go:build !linux

package postgres

import "errors"

// pause fails: how a server's processes are found is known for Linux only.
func pause(int) ([]int, error) { return nil, errors.New("that is only known for Linux") }

func resume([]int) {}
