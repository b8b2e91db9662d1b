package livetest

import (
	"cmp"
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/swampline/live/where"
)

// compareRows puts rows in the order of a subscription, as a client does: rows that are equal in it, and all rows without
// an order, by key, numbers by what they are.
func compareRows(order []where.Order, a, b Row) int {
	for _, by := range order {
		c := compareValues(a.Fields[by.Field], b.Fields[by.Field])
		if by.Desc {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return compareKeys(a.Key, b.Key)
}

func compareKeys(a, b string) int {
	m, errM := strconv.ParseInt(a, 10, 64)
	n, errN := strconv.ParseInt(b, 10, 64)
	if errM == nil && errN == nil {
		return cmp.Compare(m, n)
	}
	return strings.Compare(a, b)
}

// compareValues compares two values of one field as package where does: null first, then false, numbers and times by what they
// are, text by its bytes.
func compareValues(a, b json.RawMessage) int {
	x, y := valueOf(a), valueOf(b)
	if c := cmp.Compare(x.rank, y.rank); c != 0 {
		return c
	}
	switch {
	case x.number != nil && y.number != nil:
		return x.number.Cmp(y.number)
	case x.isTime && y.isTime:
		return x.time.Compare(y.time)
	}
	return strings.Compare(x.text, y.text)
}

// value is a JSON value that can be compared.
type value struct {
	rank   int
	text   string
	number *big.Rat
	time   time.Time
	isTime bool
}

func valueOf(data json.RawMessage) value {
	v, err := anyJSON(data)
	if err != nil {
		return value{}
	}
	switch x := v.(type) {
	case nil:
		return value{}
	case bool:
		if x {
			return value{rank: 2}
		}
		return value{rank: 1}
	case json.Number:
		n, _ := new(big.Rat).SetString(x.String())
		return value{rank: 3, number: n}
	case string:
		at, err := time.Parse(time.RFC3339Nano, x)
		return value{rank: 4, text: x, time: at, isTime: err == nil}
	}
	return value{rank: 5, text: string(data)}
}
