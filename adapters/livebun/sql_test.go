package livebun

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun/dialect"
	_ "modernc.org/sqlite"

	"github.com/swampline/live/where/wheretest/postgres"
)

// judge is a database that knows which rows a statement writes.
type judge struct {
	db   *sql.DB
	name dialect.Name
}

const judged = `
	CREATE TABLE todos (id INTEGER PRIMARY KEY, title TEXT, done INTEGER);
	CREATE TABLE wrote (id INTEGER);
	CREATE TABLE others (id INTEGER, title TEXT);
	INSERT INTO others VALUES (1, 'one'), (2, 'WHERE');
	INSERT INTO todos VALUES (1, 'one', 0), (2, 'it''s', 1), (3, 'WHERE', 0), (4, 'a"b\', 1), (5, NULL, NULL);`

func sqliteJudge(t testing.TB) judge {
	return newJudge(t, dialect.SQLite, "sqlite", "file:"+filepath.Join(t.TempDir(), "db")+"?_pragma=synchronous(off)", judged+`
	CREATE TRIGGER updated AFTER UPDATE ON todos BEGIN INSERT INTO wrote VALUES (old.id); END;
	CREATE TRIGGER deleted AFTER DELETE ON todos BEGIN INSERT INTO wrote VALUES (old.id); END`)
}

func postgresJudge(t testing.TB) judge {
	return newJudge(t, dialect.PG, "pgx", postgres.Start(t), judged+`
	CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO wrote VALUES (old.id); RETURN NULL; END';
	CREATE TRIGGER wrote AFTER UPDATE OR DELETE ON todos FOR EACH ROW EXECUTE FUNCTION note()`)
}

func newJudge(t testing.TB, name dialect.Name, driver, source, setup string) judge {
	t.Helper()
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(setup); err != nil {
		t.Fatal(err)
	}
	return judge{db, name}
}

// check wants of what is understood of a statement that the database takes that it names the rows that are written. It reports whether
// there was something to look at.
func (j judge) check(t testing.TB, ctx context.Context, verb, rest string) bool {
	where, ok := conditions(rest, j.name)
	if !ok {
		return false
	}
	wrote, err := j.ids(ctx, verb+` "todos" AS "t" `+rest, "SELECT id FROM wrote ORDER BY id")
	if err != nil {
		return false // it is no statement
	}
	found, err := j.ids(ctx, "", `SELECT id FROM "todos" AS "t" WHERE (`+where+`) ORDER BY "t"."id" LIMIT 6`)
	if err != nil || !slices.Equal(wrote, found) {
		t.Errorf("%s %q writes the rows %v, and %q finds %v, %v", verb, rest, wrote, where, found, err)
	}
	return true
}

// ids does a statement, reads ids, and undoes all of it.
func (j judge) ids(ctx context.Context, statement, query string) (ids []int, err error) {
	tx, err := j.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	if statement != "" {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return nil, err
		}
	}
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// speaker makes statements of bytes: most of them are ones that a database takes, with what could be mistaken for something else.
type speaker struct {
	choices []byte
	text    strings.Builder
}

// noise is what may stand in the wrong place.
var noise = []string{
	"'", `"`, "''", `""`, "(", ")", "[", "]", "`", ";", "--", "/*", "*/", "$", "$$", "$a$", `\`, "E'", "U&'", `U&"`, "x'", "B'", "N'", "\n", "\t", "\x00",
	"é", "\u00a0", "\xff", "#", ":a", "@a", "?", "?1", "::text", ",", ".", " where ", " WHERE ", " FROM ", " FROM others ", " RETURNING ", " LIMIT 1", " ORDER BY id", " SELECT ",
	" JOIN ", " USING ", " WITH ", " UNION ", " GROUP BY id", " HAVING 1", " CURRENT OF c", " AS ", " NOT ", " INDEXED BY i ", " VALUES (1)", " TABLE todos", " OFFSET 1", " FOR UPDATE", " WINDOW w AS ()",
}

var values = []string{
	"1", "2", "id", "t.id", `"t"."id"`, "done", "NULL", "2.5e0", "-1", "(1 + 1)", "length(title)", "CASE WHEN id = 2 THEN 1 ELSE done END", "(SELECT max(id) FROM others)",
	"coalesce(done, 0)", "CAST('1' AS INTEGER)", "count(*)", "sum(id) OVER ()",
}

var texts = []string{
	"'one'", "'it''s'", "'WHERE'", "title", `"title"`, `t."title"`, "''", `'a"b\'`, "' RETURNING '", "'(' || ')'", `'--'`, `'/*'`, "';'", "'$$'", "E'it\\'s'", "U&'one'", "x'6f6e65'", "$$one$$",
	"lower(title)", "title COLLATE \"C\"", "substring(title FROM 1)", "trim(BOTH 'o' FROM title)", "'multi'\n'line'", "CAST(x'6f6e65' AS TEXT)",
}

func (s *speaker) choose(n int) int {
	if len(s.choices) == 0 {
		return 0
	}
	c := s.choices[0]
	s.choices = s.choices[1:]
	return int(c) % n
}

// say adds a part, and now and then noise before it.
func (s *speaker) say(parts ...string) {
	if s.choose(100) == 99 {
		s.text.WriteString(noise[s.choose(len(noise))])
	}
	s.text.WriteString(parts[s.choose(len(parts))])
}

func (s *speaker) statement() (verb, rest string) {
	verb = "DELETE FROM"
	if s.choose(2) == 0 {
		verb = "UPDATE"
		s.say("SET ", "set ", "SET\n", "INDEXED BY i SET ", "NOT INDEXED SET ")
		for more := true; more; more = s.choose(4) == 3 && s.comma() {
			if s.choose(2) == 0 {
				s.say(`"title" = `, "title=", `"title"=`, "title = ")
				s.say(texts...)
			} else {
				s.say("done = ", `"done" =`, "done=")
				s.say(values...)
			}
		}
	}
	s.say(" WHERE ", " where ", "\nWHERE\n", " WHERE", " WHERE ", "WHERE ", " FROM others WHERE ", " USING others WHERE ")
	s.condition(3)
	s.say("", "", "", " RETURNING id", " RETURNING *", "\nreturning title", " LIMIT 2", " ORDER BY id LIMIT 2", ")", " -- more", " /* more */", ";", "; DELETE FROM todos")
	return verb, s.text.String()
}

func (s *speaker) comma() bool {
	s.say(", ", ",")
	return true
}

func (s *speaker) condition(depth int) {
	kind := s.choose(8)
	if depth == 0 {
		kind %= 4
	}
	switch kind {
	case 0, 1:
		s.say(values...)
		s.say(" = ", "=", " > ", " <> ", " IS NOT DISTINCT FROM ", " IS ")
		s.say(values...)
	case 2, 3:
		s.say(texts...)
		s.say(" = ", "=", " <> ", " LIKE ", " || ")
		s.say(texts...)
	case 4:
		s.say("NOT (", "(", "( ")
		s.condition(depth - 1)
		s.say(")")
	case 5:
		s.say("EXISTS (SELECT 1 FROM others o WHERE o.title = t.title)", "id IN (SELECT id FROM others WHERE title = 'one')", "id IN (1, 2)", "title IS NULL", "CURRENT OF c", "id BETWEEN 1 AND 2", "id = ANY ('{1,2}')")
	default:
		s.condition(depth - 1)
		s.say(" AND ", " OR ", " and ", "\nOR\n", "OR")
		s.condition(depth - 1)
	}
}

// TestConditions holds what is understood of random statements to what the databases make of them.
func TestConditions(t *testing.T) {
	for name, judge := range map[string]func(testing.TB) judge{"SQLite": sqliteJudge, "PostgreSQL": postgresJudge} {
		t.Run(name, func(t *testing.T) {
			j, rnd, looked := judge(t), rand.NewPCG(1, 2), 0
			for range 5000 {
				choices := make([]byte, 60)
				for i := range choices {
					choices[i] = byte(rnd.Uint64())
				}
				verb, rest := (&speaker{choices: choices}).statement()
				if j.check(t, t.Context(), verb, rest) {
					looked++
				}
			}
			if looked < 300 {
				t.Errorf("%d statements only were understood, and taken by the database", looked)
			}
		})
	}
}

// TestConditionsThatDoNotHoldTwice are those that a SELECT before the statement would find other rows by, or cannot have.
func TestConditionsThatDoNotHoldTwice(t *testing.T) {
	for _, rest := range []string{
		"WHERE id IN (SELECT id FROM others)", "WHERE CURRENT OF c", "WHERE random() < 0.5", "WHERE id = nextval('s')", "WHERE id = 1 AND Clock_Timestamp() > due",
		"WHERE id = 1\x00",
	} {
		if where, ok := conditions(rest, dialect.PG); ok {
			t.Errorf("of %q is understood %q", rest, where)
		}
	}
	if where, ok := conditions(`WHERE "random" = 1 AND title = 'random()'`, dialect.PG); !ok {
		t.Errorf("names and texts are taken for words: %q", where)
	}
}

// FuzzConditions holds what is understood to what SQLite makes of it, of the statements that the bytes choose; a first byte of 255 makes what follows a statement as it is.
func FuzzConditions(f *testing.F) {
	j := sqliteJudge(f)
	for _, text := range []string{
		"\x00", "\xffUSET title = 'x' WHERE id = 1", "\xffD WHERE id = 1 RETURNING *", "\xffUSET title = 'WHERE' WHERE (title LIKE '%''%') OR id IN (1, 2)",
		"\xffUSET \"title\" = \"t\".\"title\" || ' -- ' WHERE /* */ id = 1", "\xffD WHERE id = 1; DELETE FROM todos", "\xffUSET title = 'a\x00' WHERE id = 1", "\xffD WHERE [id] = 1",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		var verb, rest string
		if len(choices) > 1 && choices[0] == 255 {
			verb, rest = map[bool]string{true: "UPDATE", false: "DELETE FROM"}[choices[1] == 'U'], string(choices[2:])
		} else {
			verb, rest = (&speaker{choices: choices}).statement()
		}
		j.check(t, t.Context(), verb, rest)
		conditions(rest, dialect.MySQL) // which no judge is there for: it must come to an end
	})
}
