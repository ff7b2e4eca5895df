package deploy

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/spillway/spillway/test/realparts"
)

// mysqlScript runs the script of the native MySQL.
const mysqlScript = "../../deploy/native/mysql.sh"

// nativeMySQL is a MySQL of the script in a directory and at a port of the test.
type nativeMySQL struct {
	t         *testing.T
	dir, port string
}

// unpackMySQL gives the test the programs of the MySQL that the machine has, as links, and no data.
func unpackMySQL(t *testing.T) nativeMySQL {
	t.Helper()
	m := nativeMySQL{t: t, dir: t.TempDir(), port: realparts.FreePort(t)}
	installed := filepath.Join(realparts.ServicesDir(t), "mysql", "root")
	if out, err := exec.Command(mysqlScript, "prepare").CombinedOutput(); err != nil {
		t.Fatalf("install MySQL: %v\n%s", err, out)
	}
	root := filepath.Join(m.dir, "mysql", "root")
	// Without /var and /run: the data of the running server are not touched. Links need one file system. The server's user enters the root, whatever the umask is.
	const script = `umask 022 && mkdir -p "$2/var/lib" "$2/run/mysqld" && cd "$1" && parts=(bin dev etc lib lib64 proc sbin sys tmp usr) &&
		{ cp -al "${parts[@]}" "$2" 2>/dev/null || cp -a "${parts[@]}" "$2"; } && touch "$2/.complete"`
	if out, err := exec.Command("bash", "-c", script, "bash", installed, root).CombinedOutput(); err != nil {
		t.Fatalf("copy MySQL: %v\n%s", err, out)
	}
	t.Cleanup(func() { m.run("down") })
	return m
}

// run runs the script, and returns what it printed.
func (m nativeMySQL) run(command string) string {
	m.t.Helper()
	cmd := exec.Command(mysqlScript, command)
	cmd.Env = append(os.Environ(), "SPILLWAY_SERVICES_DIR="+m.dir, "MYSQL_PORT="+m.port)
	out, err := cmd.CombinedOutput()
	if err != nil {
		m.t.Fatalf("mysql.sh %s: %v\n%s", command, err, out)
	}
	return string(out)
}

// dsn reads the DSN that the script wrote, which only its owner may read.
func (m nativeMySQL) dsn() string {
	m.t.Helper()
	path := filepath.Join(m.dir, "mysql", "dsn")
	info, err1 := os.Stat(path)
	text, err2 := os.ReadFile(path)
	if err1 != nil || err2 != nil || info.Mode().Perm() != 0o600 {
		m.t.Fatalf("%s: %v %v, mode %v", path, err1, err2, info.Mode())
	}
	return strings.TrimSpace(string(text))
}

// query sends a statement with one result.
func (m nativeMySQL) query(dsn, statement string) (string, error) {
	m.t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		m.t.Fatal(err)
	}
	defer db.Close()
	var got sql.NullString
	err = db.QueryRowContext(m.t.Context(), statement).Scan(&got)
	return got.String, err
}

// owner is who runs the server.
func (m nativeMySQL) owner() uint32 {
	m.t.Helper()
	pid, err1 := os.ReadFile(filepath.Join(m.dir, "mysql", "mysql.pid"))
	info, err2 := os.Stat("/proc/" + strings.TrimSpace(string(pid)))
	if err1 != nil || err2 != nil {
		m.t.Fatal(err1, err2)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		m.t.Fatalf("no owner in %T", info.Sys())
	}
	return stat.Uid
}

// TestNativeMySQL_IsForItsOwner: another user of the machine gets in at no port and reads no file, also with the data of an older version of the script,
// which had neither a user nor a password.
func TestNativeMySQL_IsForItsOwner(t *testing.T) {
	m := unpackMySQL(t)
	m.run("up")
	first := m.dsn()
	if _, err := m.query(first, "CREATE TABLE kept (id INT PRIMARY KEY)"); err != nil && !strings.Contains(err.Error(), "no rows") {
		t.Fatal(err)
	}
	// An older version: root owns the data, has no password, and there is no file.
	if _, err := m.query(first, "ALTER USER 'root'@'localhost' IDENTIFIED BY ''"); err != nil && !strings.Contains(err.Error(), "no rows") {
		t.Fatal(err)
	}
	m.run("down")
	data := filepath.Join(m.dir, "mysql", "root", "var", "lib", "mysql")
	if out, err := exec.Command("chown", "-R", "0:0", data).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Remove(filepath.Join(m.dir, "mysql", "dsn")); err != nil {
		t.Fatal(err)
	}

	if out := m.run("up"); strings.Contains(out, "root:") {
		t.Errorf("it prints the password: %s", out)
	}
	dsn := m.dsn()
	open := fmt.Sprintf("root@tcp(127.0.0.1:%s)/spillway", m.port)
	if _, err := m.query(open, "SELECT 1"); err == nil {
		t.Error("root gets in without a password")
	}
	for statement, want := range map[string]string{
		"SELECT COUNT(*) FROM kept": "0", "SELECT COALESCE(@@secure_file_priv, 'NULL')": "NULL", "SELECT @@local_infile": "0",
	} {
		if got, err := m.query(dsn, statement); err != nil || got != want {
			t.Errorf("%s: %q, %v", statement, got, err)
		}
	}
	if m.owner() == 0 {
		t.Error("the server runs as root")
	}
	pid, err1 := os.ReadFile(filepath.Join(m.dir, "mysql", "mysql.pid"))
	line, err2 := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/cmdline")
	log, err3 := os.ReadFile(filepath.Join(m.dir, "mysql", "mysql.log"))
	_, secret, _ := strings.Cut(strings.Split(dsn, "@")[0], ":")
	if err1 != nil || err2 != nil || err3 != nil || len(secret) != 32 || strings.Contains(string(line)+string(log), secret) {
		t.Errorf("a password of %d characters is in the command line or the log: %s (%v %v %v)", len(secret), line, err1, err2, err3)
	}
	if info, err := os.Stat(data); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the data: %v, %v", info.Mode(), err)
	}

	// The password is kept: a shop that runs finds the server again.
	m.run("down")
	m.run("up")
	if m.dsn() != dsn {
		t.Error("the password changed with a restart")
	}
}
