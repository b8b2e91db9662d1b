package checker

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// versionOf reads the version of a row.
func versionOf(v json.RawMessage) int64 {
	n, _ := strconv.ParseInt(string(v), 10, 64)
	return n
}

// story tells what was committed and published of a row, for findings.
func (w *world) story(key string) string {
	var b strings.Builder
	id, _ := strconv.ParseInt(key, 10, 64)
	w.table.mu.RLock()
	if h := w.table.history[id]; h != nil {
		for i, v := range h.versions {
			fmt.Fprintf(&b, "committed at %d: %+v; ", h.stamps[i], v)
		}
		fmt.Fprintf(&b, "gone at %d; ", h.gone)
	}
	w.table.mu.RUnlock()
	o := w.oracle
	o.mu.RLock()
	defer o.mu.RUnlock()
	for name, e := range o.epochs {
		for _, c := range e.changes {
			if c.key == key {
				fmt.Fprintf(&b, "epoch %d has at %v %s version %d (then it is %d, gone %v, open %v); ", name, c.at, c.op, c.was, c.version, c.gone, c.open)
			}
		}
	}
	return b.String()
}

// causes tells what could have been the cause of a resync, for findings.
func (o *oracle) causes(who string) string {
	o.mu.RLock()
	defer o.mu.RUnlock()
	text := ""
	for name, e := range o.epochs {
		text += fmt.Sprintf("epoch %d: trimmed to %v, rechecks of %s %v, bulk %v, loose %v; ", name, e.base, who, e.rechecks[who], e.bulks, e.loose[max(0, len(e.loose)-10):])
	}
	return text + "now " + o.head.String()
}
