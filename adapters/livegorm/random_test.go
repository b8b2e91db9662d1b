package livegorm_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/swampline/live"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// program does what an application might, at random, and keeps a trace of it.
type program struct {
	*bench
	rand   *rand.Rand
	trace  []string
	points int   // savepoints so far
	last   int64 // key that was created
}

func (p *program) say(depth int, format string, args ...any) {
	p.trace = append(p.trace, fmt.Sprintf("%*s", 2*depth, "")+fmt.Sprintf(format, args...))
}

// write changes some rows.
func (p *program) write(tx *gorm.DB, depth int) {
	id, title := p.rand.Int64N(6)+1, fmt.Sprint("t", p.rand.IntN(3))
	switch what := p.rand.IntN(8); what {
	case 0:
		p.last++
		p.say(depth, "create %d", p.last)
		p.must(tx.Create(&Todo{ID: p.last, Title: title}))
	case 1:
		p.say(depth, "save %d %s", id, title)
		p.must(tx.Save(&Todo{ID: id, Title: title}))
	case 2:
		p.say(depth, "update %d %s", id, title)
		p.must(tx.Model(&Todo{ID: id}).Update("title", title))
	case 3:
		p.say(depth, "delete %d", id)
		p.must(tx.Delete(&Todo{ID: id}))
	case 4:
		p.say(depth, "update to %d where %s", id, title)
		p.must(tx.Model(&Todo{}).Where("title = ?", title).Update("list_id", id))
	case 5:
		p.say(depth, "upsert %d and %d", id, id+1)
		p.must(tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(&[]Todo{{ID: id, Title: title}, {ID: id + 1, Title: title}}))
	case 6:
		p.say(depth, "draft %d", id)
		p.must(tx.Save(&Draft{ID: id, Text: title}))
	case 7:
		p.say(depth, "delete draft %d", id)
		p.must(tx.Session(&gorm.Session{}).Scopes(func(tx *gorm.DB) *gorm.DB {
			if p.rand.IntN(3) == 0 {
				return tx.Unscoped()
			}
			return tx
		}).Delete(&Draft{ID: id}))
	}
}

// run does some steps in a transaction, and says how it ends.
func (p *program) run(tx *gorm.DB, depth int) error {
	var points []string // those of this level, which an inner Transaction leaves alone
	for range p.rand.IntN(6) {
		switch what := p.rand.IntN(8); {
		case what == 0 && depth < 4:
			p.nested(tx, depth)
		case what == 1:
			p.points++
			points = append(points, fmt.Sprint("p", p.points))
			p.say(depth, "savepoint %s", points[len(points)-1])
			p.must(tx.SavePoint(points[len(points)-1]))
		case what == 2 && len(points) > 0:
			at := p.rand.IntN(len(points))
			p.say(depth, "rollback to %s", points[at])
			p.must(tx.RollbackTo(points[at]))
			points = points[:at+1]
		case what == 3 && len(points) > 0:
			at := p.rand.IntN(len(points))
			p.say(depth, "release %s", points[at])
			p.must(tx.Session(&gorm.Session{}).Exec("RELEASE SAVEPOINT " + points[at]))
			points = points[:at]
		default:
			p.write(tx, depth)
		}
	}
	switch p.rand.IntN(6) {
	case 0:
		p.say(depth, "fail")
		return errOh
	case 1:
		p.say(depth, "panic")
		panic(errOh)
	}
	return nil
}

func (p *program) nested(db *gorm.DB, depth int) {
	defer func() {
		if e := recover(); e != nil && e != errOh {
			panic(e)
		}
	}()
	p.say(depth, "transaction")
	if err := db.Transaction(func(tx *gorm.DB) error { return p.run(tx, depth+1) }); err != nil && err != errOh {
		p.Errorf("the transaction: %v", err)
	}
}

// TestRandomTransactions nests transactions and savepoints at random: after each whole one the subscriber holds what committed, and it is at most one
// entry. LIVE_TEST_SEED runs it with one seed.
func TestRandomTransactions(t *testing.T) {
	seeds := []uint64{1, 2, 3}
	if given := os.Getenv("LIVE_TEST_SEED"); given != "" {
		seed, err := strconv.ParseUint(given, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seeds = []uint64{seed}
	}
	databases(t, func(t *testing.T, d database) {
		for _, name := range slices.Sorted(maps.Keys(d.configs())) {
			for _, seed := range seeds {
				t.Run(fmt.Sprintf("%s/seed %d", name, seed), func(t *testing.T) {
					p := &program{bench: newBench(t, d.open(t, d.configs()[name]), live.Options{}), rand: rand.New(rand.NewPCG(seed, 0)), last: 100}
					t.Cleanup(func() {
						if t.Failed() {
							t.Logf("seed %d: %s", seed, strings.Join(p.trace, "\n"))
						}
					})
					for range 40 {
						p.trace, p.spy.told = nil, nil
						p.nested(p.db, 0)
						if len(p.spy.told) > 1 {
							p.Errorf("%d entries: %q", len(p.spy.told), p.spy.told)
						}
						p.converge()
						if t.Failed() {
							return
						}
					}
				})
			}
		}
	})
}
