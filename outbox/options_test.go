//go:build unix

package outbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live/broker"
)

func TestNewRefusesMistakes(t *testing.T) {
	db := fileDB(t)
	for _, test := range []struct {
		o    Options
		want string
	}{
		{Options{}, "the dialect is Dialect(0): set it to outbox.SQLite"},
		{Options{Dialect: 9}, "Dialect(9)"},
		{Options{Dialect: MySQL, Table: "a b"}, `"a b" cannot be the name`},
		{Options{Dialect: MySQL, Table: "a.b.c"}, `"a.b.c" cannot be the name`},
		{Options{Dialect: MySQL, Table: "x`; DROP TABLE y"}, "cannot be the name"},
		{Options{Dialect: MySQL, Table: strings.Repeat("x", 51)}, "cannot be the name"},
		{Options{Dialect: SQLite, Lease: time.Millisecond}, "Options.Lease is 1ms"},
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, test.want) || !strings.HasSuffix(got, ".") {
					t.Errorf("New with %+v panics with %q, want %q in a sentence", test.o, got, test.want)
				}
			}()
			New(db, newLog(), test.o)
		}()
	}
}

// TestMigrationIsWhatMigrateDoes runs what is printed, twice, where the table has a schema.
func TestMigrationIsWhatMigrateDoes(t *testing.T) {
	db := fileDB(t)
	for range 2 {
		if _, err := db.Exec(Migration(SQLite, "main.box")); err != nil {
			t.Fatal(err)
		}
	}
	box := New(db, newLog(), Options{Dialect: SQLite, Table: "main.box"})
	write(t, box, "a")
	run(t, box)
	entries(t, box.to, 1)
	idle(t, box)
	for _, d := range []Dialect{PostgreSQL, MySQL} {
		if printed := Migration(d, "app.box"); strings.Count(printed, ";\n") != 4 || !strings.Contains(printed, "_refused") {
			t.Errorf("%v: %s", d, printed)
		}
	}
}

func TestRunReturnsAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	box := New(fileDB(t), newLog(), Options{Dialect: SQLite, Logger: quiet})
	if err := box.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v", err)
	}
}

// TestRunEndsWhileTheBrokerIsAway ends a relay that waits for its broker, and for its database.
func TestRunEndsWhileTheBrokerIsAway(t *testing.T) {
	box := open(t, fileDB(t), &pausing{Broker: away{}}, Options{Dialect: SQLite, Logger: quiet})
	write(t, box, "a")
	stop := run(t, box)
	until(t, box, "it has tried", func() bool { return state(t, box, "term") > 1 })
	stop()
	if n := count(t, box, ""); n != 1 {
		t.Errorf("%d rows are left", n)
	}
	execute(t, box, "_state", "DROP TABLE %s")
	run(t, box)()
}

// away is a broker that cannot be reached.
type away struct{ broker.Broker }

func (away) Head(context.Context) (broker.Position, error) {
	return broker.Position{}, errors.New("nobody is there")
}
