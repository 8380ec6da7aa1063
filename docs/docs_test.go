// Package docs_test holds the documents against the code: what they name has to exist.
package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
)

// code is what a document may name: `package.Name`, `package.Type.Member`.
type code map[string]bool

// packages are the names of ours, so that a document may also name what is not ours.
func readCode(t *testing.T, roots ...string) (known code, packages map[string]bool) {
	t.Helper()
	known, packages = code{}, map[string]bool{}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			name := strings.TrimSuffix(file.Name.Name, "_test")
			packages[name] = true
			for _, decl := range file.Decls {
				known.add(name, decl)
			}
			return nil
		})
		require.NoError(t, err)
	}
	return known, packages
}

func (c code) add(pkg string, decl ast.Decl) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			c[pkg+"."+d.Name.Name] = true
			return
		}
		c[pkg+"."+receiver(d.Recv.List[0].Type)+"."+d.Name.Name] = true
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			c.addSpec(pkg, spec)
		}
	}
}

func (c code) addSpec(pkg string, spec ast.Spec) {
	switch s := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range s.Names {
			c[pkg+"."+name.Name] = true
		}
	case *ast.TypeSpec:
		c[pkg+"."+s.Name.Name] = true
		var fields *ast.FieldList
		switch t := s.Type.(type) {
		case *ast.StructType:
			fields = t.Fields
		case *ast.InterfaceType:
			fields = t.Methods
		default:
			return
		}
		for _, field := range fields.List {
			for _, name := range field.Names {
				c[pkg+"."+s.Name.Name+"."+name.Name] = true
			}
		}
	}
}

func receiver(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.StarExpr:
		return receiver(t.X)
	case *ast.IndexExpr:
		return receiver(t.X)
	case *ast.Ident:
		return t.Name
	}
	return ""
}

var (
	quoted     = regexp.MustCompile("`([^`\n]+)`")
	identifier = regexp.MustCompile(`^([a-z]\w*)\.[A-Za-z]\w*(\.[A-Za-z]\w*)?$`)
	ourPath    = regexp.MustCompile(`^(cmd|internal|docs|scripts|deploy|test)/[\w./-]*$`)
	fileName   = regexp.MustCompile(`\.(go|sql|lua|md|sh|json|yaml|yml|html|css|js)$`)
)

// Documents name code by its identifiers, and files by their paths, never by line numbers: a name that is gone fails here.
func TestDocumentsNameWhatExists(t *testing.T) {
	t.Parallel()
	known, packages := readCode(t, "../internal", "../cmd")
	for _, document := range []string{"../CONTRIBUTING.md", "../README.md", "architecture.md", "glossary.md", "run_states.md", "performance.md", "chaos.md", "sources.md", "dashboard.md"} {
		t.Run(filepath.Base(document), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(document)
			require.NoError(t, err)
			for _, match := range quoted.FindAllStringSubmatch(string(text), -1) {
				name := strings.TrimSuffix(match[1], "()")
				if parts := identifier.FindStringSubmatch(name); parts != nil && packages[parts[1]] && !fileName.MatchString(name) {
					require.True(t, known[name], "`%s` does not exist", name)
				}
				if ourPath.MatchString(name) && !strings.Contains(name, "*") {
					_, err := os.Stat(filepath.Join("..", name))
					require.NoError(t, err, "`%s`", name)
				}
			}
		})
	}
}

// A state of runs that the schema or the drawing forgets is named here.
func TestEveryRunStatusIsDescribed(t *testing.T) {
	t.Parallel()
	for _, document := range []string{"json.schema.json", "run_states.md"} {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		for _, status := range backfill.RunStatusNames() {
			require.Regexp(t, "[`\"]"+status+"[`\"]", string(text), "%s does not mention the status", document)
		}
	}
}
