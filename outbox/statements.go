package outbox

import (
	"strconv"
	"strings"
)

// statements are what an outbox asks of its database, in the words of its dialect.
type statements struct {
	dialect                  Dialect
	table                    string
	insert                   string // data
	first                    string // limit
	highest, lowest          string
	acquire, holder          string // owner, lease, lease, owner · owner
	renew                    string // confirmed, term
	release                  string // term
	setAside                 string // reason, id
	waiting, refused, oldest string // limit · limit ·
}

func prepare(d Dialect, table string) statements {
	rows, state, refused := d.quote(table, ""), d.quote(table, "_state"), d.quote(table, "_refused")
	now := d.now()
	s := statements{
		dialect: d,
		table:   rows,
		insert:  "INSERT INTO " + rows + " (data, written) VALUES (?, " + now + ")",
		first:   "SELECT id, data FROM " + rows + " ORDER BY id LIMIT ?",
		highest: "SELECT COALESCE(MAX(id), 0) FROM " + rows,
		lowest:  "SELECT COALESCE(MIN(id), 0) FROM " + rows,
		// A lease that ends later than one that was taken just now would was taken before the clock was set back.
		acquire: "UPDATE " + state + " SET term = term + 1, beat = beat + 1, owner = ?, lasts = ?, expires = " + now + " + ? " +
			"WHERE id = 1 AND (expires <= " + now + " OR expires > " + now + " + lasts OR owner = ?)",
		holder: "SELECT term, confirmed FROM " + state + " WHERE id = 1 AND owner = ?",
		// beat changes each time: MySQL counts rows that were changed, not those that were found.
		renew:   "UPDATE " + state + " SET beat = beat + 1, confirmed = ?, expires = " + now + " + lasts WHERE id = 1 AND term = ?",
		release: "UPDATE " + state + " SET beat = beat + 1, owner = '', expires = 0 WHERE id = 1 AND term = ?",
		setAside: "INSERT INTO " + refused + " (entry, data, written, reason) " +
			"SELECT id, data, written, " + cast(d) + " FROM " + rows + " WHERE id = ?",
		waiting: "SELECT COUNT(*) FROM (SELECT id FROM " + rows + " ORDER BY id LIMIT ?) AS counted",
		refused: "SELECT COUNT(*) FROM (SELECT id FROM " + refused + " ORDER BY id LIMIT ?) AS counted",
		oldest:  "SELECT " + now + " - written FROM " + rows + " ORDER BY id LIMIT 1",
	}
	for _, q := range []*string{
		&s.insert, &s.first, &s.acquire, &s.holder, &s.renew, &s.release, &s.setAside, &s.waiting, &s.refused,
	} {
		*q = d.placeholders(*q)
	}
	return s
}

// cast is a parameter that is selected: PostgreSQL must be told its type.
func cast(d Dialect) string {
	if d == PostgreSQL {
		return "CAST(? AS text)"
	}
	return "?"
}

// remove deletes rows by their ids, which must be there. The statement must lock these rows and no others, so that it neither waits for a
// transaction whose rows are not visible yet nor makes one wait: MySQL is told to go by the primary key, as it might think it cheaper to look at
// all rows, and would lock those.
func (s *statements) remove(ids []int64) string {
	list := make([]byte, 0, 8*len(ids))
	for i, id := range ids {
		if i > 0 {
			list = append(list, ',')
		}
		list = strconv.AppendInt(list, id, 10)
	}
	var b strings.Builder
	if s.dialect == MySQL {
		b.WriteString("DELETE waiting FROM " + s.table + " AS waiting FORCE INDEX (PRIMARY) WHERE waiting.id IN (")
	} else {
		b.WriteString("DELETE FROM " + s.table + " WHERE id IN (")
	}
	b.Write(list)
	b.WriteByte(')')
	return b.String()
}
