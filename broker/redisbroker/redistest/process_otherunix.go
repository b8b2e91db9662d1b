//go:build unix && !linux

package redistest

import "syscall"

// dieWithParent does nothing: only Linux has it. A test that is killed leaves its server behind here.
func dieWithParent(*syscall.SysProcAttr) {}
