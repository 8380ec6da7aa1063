package localtest

import (
	"crypto/rand"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
)

// Template is a ClickHouse database that is made once and then copied for each test. A copy takes a fifth of the processor time
// that migrations take. The zero value is ready.
type Template struct {
	once       sync.Once
	statements []string // with templateName for the database, and templateID with a table's name for its id
	filled     []string // the tables that have values
}

// What stands for the name of the copy and for the id of its table that has values; no schema has them.
const (
	templateName = "template_of_copies"
	templateID   = "template_of_id_"
)

// Copy makes the database as fill left the template. The first call makes the template: fill gets the name of a database that
// does not exist yet.
func (p *Template) Copy(t testing.TB, e *Env, database string, fill func(template string)) {
	t.Helper()
	p.once.Do(func() { p.read(t, e, fill) })
	if p.statements == nil {
		t.Fatal("the template of the test's database could not be made: see the test that tried")
	}
	replaced := []string{templateName, database}
	for _, name := range p.filled {
		replaced = append(replaced, templateID+name, uuid.NewString())
	}
	named := strings.NewReplacer(replaced...)
	for _, statement := range p.statements {
		e.ClickHouse(t, named.Replace(statement))
	}
}

// read makes the template, notes how to make it again and removes it.
func (p *Template) read(t testing.TB, e *Env, fill func(template string)) {
	t.Helper()
	template := "t_" + strings.ToLower(rand.Text()[:16]) + "_template"
	defer e.ClickHouse(t, "DROP DATABASE IF EXISTS "+template+" SYNC")
	fill(template)
	statements := []string{"CREATE DATABASE IF NOT EXISTS " + templateName}
	for _, table := range e.tables(t, template) {
		create := strings.ReplaceAll(table.Create, template, templateName)
		if table.Rows == 0 {
			statements = append(statements, create)
			continue
		}
		// A deployment is called after the id of the table that names it: each copy must get its own.
		name, id := templateName+"."+table.Name, templateID+table.Name
		values := strings.ReplaceAll(e.ClickHouse(t, "SELECT * FROM "+template+"."+table.Name+" FORMAT JSONEachRow"), table.ID, id)
		statements = append(statements, strings.Replace(create, name, name+" UUID '"+id+"'", 1), "INSERT INTO "+name+" FORMAT JSONEachRow\n"+values)
		p.filled = append(p.filled, table.Name)
	}
	p.statements = statements
}

type table struct {
	Name   string `json:"name"`
	ID     string `json:"uuid"`
	Create string `json:"create_table_query"`
	Rows   int    `json:"rows"`
}

// tables are those of a database in the order in which they can be made: views last.
func (e *Env) tables(t testing.TB, database string) (tables []table) {
	t.Helper()
	rows := e.ClickHouse(t, "SELECT name, uuid, create_table_query, toUInt32(ifNull(total_rows, 0)) AS rows FROM system.tables WHERE database = '"+database+
		"' ORDER BY endsWith(engine, 'View'), name FORMAT JSONEachRow")
	for row := range strings.Lines(rows) {
		var one table
		if err := json.Unmarshal([]byte(row), &one); err != nil {
			t.Fatalf("read a table of %s: %v", database, err)
		}
		tables = append(tables, one)
	}
	return tables
}
