package livegorm

import (
	"strings"

	"gorm.io/gorm"
)

// verb is what a statement does to the savepoints of its transaction.
type verb int

const (
	none verb = iota
	set
	back
	release
	ending // of the transaction
)

// savepointStatement reads a statement that is about a savepoint, in standard SQL or in that of SQL Server, or that ends the transaction.
func savepointStatement(query string) (verb, string) {
	if !mayBeSavepoint(query) {
		return none, ""
	}
	words := strings.Fields(strings.TrimRight(strings.TrimSpace(query), "; \t\r\n"))
	// next takes a word if it is one of these.
	next := func(any ...string) string {
		if len(words) == 0 {
			return ""
		}
		for _, word := range any {
			if strings.EqualFold(words[0], word) {
				words = words[1:]
				return word
			}
		}
		return ""
	}
	what := none
	switch next("SAVEPOINT", "SAVE", "ROLLBACK", "RELEASE", "COMMIT", "END", "ABORT") {
	case "SAVEPOINT":
		what = set
	case "SAVE":
		if next("TRANSACTION", "TRAN") != "" {
			what = set
		}
	case "RELEASE":
		next("SAVEPOINT")
		what = release
	case "ROLLBACK":
		of := next("WORK", "TRANSACTION", "TRAN")
		to := next("TO")
		next("SAVEPOINT")
		switch {
		case len(words) == 0:
			return ending, ""
		case to != "" || of != "" && of != "WORK":
			what = back
		}
	case "COMMIT", "END", "ABORT":
		next("WORK", "TRANSACTION", "TRAN")
		if len(words) == 0 {
			return ending, ""
		}
	}
	if what == none || len(words) != 1 {
		return none, ""
	}
	return what, strings.ToLower(strings.Trim(words[0], "\"`[]"))
}

// mayBeSavepoint is false of nearly all statements.
func mayBeSavepoint(query string) bool {
	query = strings.TrimLeft(query, " \t\r\n")
	for _, word := range []string{"SAVE", "ROLLBACK", "RELEASE", "COMMIT", "END", "ABORT"} {
		if len(query) >= len(word) && strings.EqualFold(query[:len(word)], word) {
			return true
		}
	}
	return false
}

// aroundRaw lets the transaction see a savepoint of Exec: a prepared statement goes past it.
func aroundRaw(next func(*gorm.DB)) func(*gorm.DB) {
	return func(db *gorm.DB) {
		if what, _ := savepointStatement(db.Statement.SQL.String()); what != none {
			outer := db.Statement.ConnPool
			db.Statement.ConnPool = unprepared(outer)
			defer func() { db.Statement.ConnPool = outer }()
		}
		next(db)
	}
}
