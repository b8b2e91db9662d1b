package redistest

import "syscall"

// dieWithParent ends the process, at the latest, with the thread that started it.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
