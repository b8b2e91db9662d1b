//go:build unix

package outbox

import (
	"bufio"
	"cmp"
	"crypto/rand"
	"database/sql"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// startMariaDB returns the data source name of an empty database that is gone when the test is over: of the server that LIVE_TEST_MYSQL_URL
// names in the driver's form (user:password@tcp(host:port)/), or of one that it starts on a socket in a temporary directory.
func startMariaDB(t testing.TB) string {
	t.Helper()
	given := os.Getenv("LIVE_TEST_MYSQL_URL")
	if given == "" {
		given = mariaDB(t)
	}
	config, err := mysql.ParseDSN(given)
	if err != nil {
		t.Fatalf("LIVE_TEST_MYSQL_URL: %v", err)
	}
	config.DBName = ""
	db, err := sql.Open("mysql", config.FormatDSN())
	if err != nil {
		t.Fatal(err)
	}
	name := "live_test_" + strings.ToLower(rand.Text())
	if _, err := db.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatalf("MariaDB: %v", err)
	}
	t.Cleanup(func() {
		db.Exec("DROP DATABASE " + name)
		db.Close()
	})
	config.DBName = name
	return config.FormatDSN()
}

// mariaDB starts a server. It needs no files of an installation but the binary: without its own tables of users it asks nobody who they are,
// and it listens on nothing but the socket.
func mariaDB(t testing.TB) string {
	t.Helper()
	bin, err := exec.LookPath("mariadbd")
	if err != nil {
		bin = "/usr/sbin/mariadbd"
	}
	if _, err := os.Stat(bin); err != nil {
		const missing = "this test needs MariaDB: install its server (the package mariadb-server-core), or set LIVE_TEST_MYSQL_URL"
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	dir, err := os.MkdirTemp("", "live-my-") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data, socket := filepath.Join(dir, "data"), filepath.Join(dir, "socket")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "--no-defaults", "--skip-grant-tables", "--skip-networking", "--socket="+socket, "--datadir="+data,
		"--pid-file="+filepath.Join(dir, "pid"), "--max-connections=200", "--innodb-flush-log-at-trx-commit=0",
		"--innodb-log-file-size=16M", "--innodb-buffer-pool-size=64M")
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if nobody, err := user.Lookup("nobody"); os.Getuid() == 0 && err == nil { // root is refused
		uid, _ := strconv.Atoi(nobody.Uid)
		gid, _ := strconv.Atoi(nobody.Gid)
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		for _, path := range []string{dir, data} {
			if err := os.Chown(path, uid, gid); err != nil {
				t.Fatal(err)
			}
		}
	}
	dieWithParent(cmd.SysProcAttr)
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	ready, ended := make(chan error, 1), make(chan struct{})
	go keepServer(cmd, log, ready, ended)
	if err := <-ready; err != nil {
		t.Fatalf("starting MariaDB: %v", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	return "root@unix(" + socket + ")/"
}

// keepServer starts a server and stays until it has ended. It keeps its thread, because the server is told to end with the thread
// that started it: so a test that is killed leaves none behind.
func keepServer(cmd *exec.Cmd, log io.Reader, ready chan<- error, ended chan<- struct{}) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(ended)
	if err := cmd.Start(); err != nil {
		ready <- err
		return
	}
	var said strings.Builder
	for lines := bufio.NewScanner(log); lines.Scan(); {
		if said.Len() < 1<<16 {
			fmt.Fprintln(&said, lines.Text())
		}
		if strings.Contains(lines.Text(), "ready for connections") {
			ready <- nil
		}
	}
	err := cmd.Wait()
	select {
	case ready <- fmt.Errorf("it ended: %v\n%s", cmp.Or(err, io.EOF), said.String()):
	default: // it was ready once
	}
}
