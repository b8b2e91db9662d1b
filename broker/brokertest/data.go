package brokertest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/swampline/live/broker"
)

func checkEmptyData(l *lab) error {
	var want []broker.Entry
	for _, data := range [][]byte{nil, []byte("between"), {}, {0}} {
		e, err := l.append(data)
		if err != nil {
			return err
		}
		want = append(want, e)
	}
	return l.follow(broker.Position{}, nil).gets(want)
}

// checkLargeData appends several entries of the largest size, all byte values in them, and one that is too large:
// what is refused must leave the log as it was.
func checkLargeData(l *lab) error {
	live := l.follow(broker.Position{}, nil)
	var want []broker.Entry
	for i := range 4 {
		e, err := l.append(pattern(l.h.MaxEntry, i))
		if err != nil {
			return err
		}
		want = append(want, e)
	}
	_, err := l.append(pattern(l.h.MaxEntry+1, 9))
	if !errors.Is(err, broker.ErrTooLarge) {
		return broken(appendTooLarge, "the largest entry is %d bytes, and one more returned %q", l.h.MaxEntry, text(err))
	}
	for _, size := range []int{l.h.MaxEntry, l.h.MaxEntry + 1} {
		if !strings.Contains(err.Error(), strconv.Itoa(size)) {
			return broken(appendTooLarge, "the text is %q, without %d", err, size)
		}
	}
	head, err := l.head()
	if err != nil {
		return err
	}
	if newest := want[len(want)-1].Position; head != newest {
		return broken(headNewest, "it was %v until an entry was refused, and is %v", newest, head)
	}
	end, err := l.fill(1)
	if err != nil {
		return err
	}
	want = append(want, end...)
	if err := live.gets(want); err != nil {
		return err
	}
	return l.follow(broker.Position{}, nil).gets(want)
}

// pattern returns n bytes in which every byte value occurs and no two starts give the same.
func pattern(n, start int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i*7 + i>>8 + start)
	}
	return data
}

// checkDataIsCopied uses one buffer for all entries, as a caller does that encodes into a pool.
func checkDataIsCopied(l *lab) error {
	var want []broker.Entry
	buf := make([]byte, 0, 64)
	for i := range 10 {
		buf = fmt.Appendf(buf[:0], "entry %d", i)
		e, err := l.append(buf)
		if err != nil {
			return err
		}
		e.Data = []byte(string(buf))
		want = append(want, e)
	}
	clear(buf)
	f := l.follow(broker.Position{}, nil)
	f.settle(want)
	return compare(appendCopies, want, f.got())
}

// checkDataMayBeKept looks at what deliver was given long after it returned, when the broker has read and forgotten
// other entries.
func checkDataMayBeKept(l *lab) error {
	f := l.follow(broker.Position{}, nil)
	var want []broker.Entry
	for range 20 {
		more, err := l.fill(30)
		if err != nil {
			return err
		}
		want = append(want, more...)
		f.settle(want)
	}
	l.trim(1)
	end, err := l.fill(1)
	if err != nil {
		return err
	}
	want = append(want, end...)
	f.settle(want)
	return compare(deliverKeeps, want, f.got())
}
