//go:build unix && !linux

package outbox

import "syscall"

// dieWithParent does nothing: only Linux has it. A test that is killed leaves what it started behind here.
func dieWithParent(*syscall.SysProcAttr) {}
