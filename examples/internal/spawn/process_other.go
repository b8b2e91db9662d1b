//go:build !linux

package spawn

import "syscall"

// dieWithParent does nothing: only Linux has it. A test that is killed leaves its processes behind here.
func dieWithParent() *syscall.SysProcAttr { return nil }
