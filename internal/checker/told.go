package checker

// told is what was published of a row, in any epoch: no writer is between a commit and its publishing when the log is lost.
type told struct {
	upto   int64 // all versions up to it
	newest int64
	beyond map[int64]bool
	gone   bool
	// late are the versions that were published after a newer one.
	late map[int64]bool
	// odd says that it did not always come in order: hubs are in doubt about such a row until a list shows it.
	odd bool
}

// note takes a version, and reports whether it came in order.
func (t *told) note(version int64, gone bool) bool {
	inOrder := version == t.upto+1 && version > t.newest && !t.gone || gone && version == t.upto
	if version < t.newest || t.gone {
		t.late[version] = true
	}
	if t.newest = max(t.newest, version); gone {
		t.gone = true
	} else {
		t.beyond[version] = true
	}
	for t.beyond[t.upto+1] {
		t.upto++
		delete(t.beyond, t.upto)
	}
	return inOrder
}

// whole reports whether all that was committed before the newest was published.
func (t *told) whole() bool { return t.upto >= t.newest }
