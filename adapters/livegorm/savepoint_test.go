package livegorm

import "testing"

func TestSavepointStatement(t *testing.T) {
	for statement, want := range map[string]struct {
		verb
		name string
	}{
		"SAVEPOINT sp1":                        {set, "sp1"},
		" savepoint\n\"A b\" ":                 {none, ""}, // GORM's names have no spaces
		"SAVE TRANSACTION sp1":                 {set, "sp1"},
		"save tran [SP1];":                     {set, "sp1"},
		"SAVE sp1":                             {none, ""},
		"ROLLBACK TO SAVEPOINT `sp1`":          {back, "sp1"},
		"ROLLBACK TO sp1":                      {back, "sp1"},
		"rollback work to savepoint sp1":       {back, "sp1"},
		"ROLLBACK TRANSACTION TO SAVEPOINT s":  {back, "s"},
		"ROLLBACK TRANSACTION sp1":             {back, "sp1"},
		"RELEASE SAVEPOINT sp1":                {release, "sp1"},
		"RELEASE sp1":                          {release, "sp1"},
		"ROLLBACK":                             {ending, ""},
		"rollback transaction;":                {ending, ""},
		"COMMIT WORK":                          {ending, ""},
		"END":                                  {ending, ""},
		"COMMIT PREPARED 'x'":                  {none, ""},
		"ROLLBACK PREPARED 'x'":                {none, ""},
		"SELECT 1":                             {none, ""},
		"":                                     {none, ""},
		"ENDS":                                 {none, ""},
		"SAVEPOINTS x":                         {none, ""},
		"INSERT INTO notes VALUES ('COMMIT')":  {none, ""},
		"RELEASE SAVEPOINT a; ROLLBACK TO b":   {none, ""}, // two statements, which drivers do not take
		"ROLLBACK TO SAVEPOINT a -- a comment": {none, ""},
	} {
		if verb, name := savepointStatement(statement); verb != want.verb || name != want.name {
			t.Errorf("%q is %d of %q, want %d of %q", statement, verb, name, want.verb, want.name)
		}
	}
}
