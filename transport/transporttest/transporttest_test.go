package transporttest_test

import (
	"testing"

	"github.com/swampline/live/transport/transporttest"
)

func TestTransports(t *testing.T) {
	for _, name := range transporttest.All {
		t.Run(name, func(t *testing.T) { transporttest.Run(t, name, open) })
	}
}
