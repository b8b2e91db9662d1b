//go:build !unix

package redistest

import (
	"errors"
	"os"
	"os/exec"
)

func configure(*exec.Cmd) {}

func pause(*os.Process) error { return errors.ErrUnsupported }

func resume(*os.Process) error { return errors.ErrUnsupported }
