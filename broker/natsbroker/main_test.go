package natsbroker_test

import (
	"testing"

	"github.com/swampline/live/broker/natsbroker/natstest"
)

func TestMain(m *testing.M) { natstest.Main(m) }
