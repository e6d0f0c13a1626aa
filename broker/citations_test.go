package broker

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// citation is one id as it stands in a comment or a string.
type citation struct {
	version string // 5.0, 3.1.1, or empty: none was given
	id      string
	place   string // "connect.go: connection.check" or the name of a test; empty: neither, as in doc.go
	test    bool
	at      string // file and line, for messages only
}

// Tokens of a citation: a version, an id, or what may stand between them. Anything else ends what a version says.
var citationToken = regexp.MustCompile(`\b(?:v5|v3|5\.0|3\.1\.1)\b|\[MQTT-[0-9]+\.[0-9]+\.[0-9]+-[0-9]+\]|\b(?:sections?|to|and)\b|[0-9.]+|[,\s]+|.`)

// cited reads the citations of a text.
func cited(text string) (all []citation) {
	version, to := "", false
	for _, token := range citationToken.FindAllString(text, -1) {
		switch {
		case token == "v5" || token == "5.0":
			version, to = "5.0", false
		case token == "v3" || token == "3.1.1":
			version, to = "3.1.1", false
		case strings.HasPrefix(token, "[MQTT-"):
			c := citation{version: version, id: strings.Trim(token, "[]")}
			if to && len(all) > 0 {
				all = append(all, between(all[len(all)-1], c)...)
			}
			all, to = append(all, c), false
		case token == "to":
			to = true
		case token == "and" || token[0] == 's' && len(token) >= 7 || strings.Trim(token, "0123456789., \t\r\n/") == "":
		default:
			version, to = "", false
		}
	}
	return all
}

// between gives the ids between two of one section.
func between(from, to citation) (all []citation) {
	section, first, _ := strings.Cut(strings.TrimPrefix(from.id, "MQTT-"), "-")
	other, last, _ := strings.Cut(strings.TrimPrefix(to.id, "MQTT-"), "-")
	a, _ := strconv.Atoi(first)
	b, _ := strconv.Atoi(last)
	for i := a + 1; i < b && section == other; i++ {
		all = append(all, citation{version: to.version, id: fmt.Sprintf("MQTT-%s-%d", section, i)})
	}
	return all
}

func TestCitationsAreRead(t *testing.T) {
	for text, want := range map[string]string{
		"v5 [MQTT-1.2.3-4]": "5.0 MQTT-1.2.3-4",
		"v5 [MQTT-1.2.3-4] [MQTT-1.2.3-5], 3.1.1 [MQTT-6.0.0-1]": "5.0 MQTT-1.2.3-4, 5.0 MQTT-1.2.3-5, 3.1.1 MQTT-6.0.0-1",
		"// v5 [MQTT-1.2.3-4]\n// [MQTT-1.2.3-5]":                "5.0 MQTT-1.2.3-4, 5.0 MQTT-1.2.3-5",
		"v5 section 4.1, [MQTT-1.2.3-4]":                         "5.0 MQTT-1.2.3-4",
		"5.0 clients are told why [MQTT-1.2.3-4]":                " MQTT-1.2.3-4",
		"3.1.1 [MQTT-1.2.3-4] to [MQTT-1.2.3-6]":                 "3.1.1 MQTT-1.2.3-4, 3.1.1 MQTT-1.2.3-5, 3.1.1 MQTT-1.2.3-6",
		"v5 [MQTT-1.2.3-4]: here [MQTT-1.2.3-6]":                 "5.0 MQTT-1.2.3-4,  MQTT-1.2.3-6",
		"section 2.3 of [MQTT] says [MQTT-1.2-3]":                "",
	} {
		var got []string
		for _, c := range cited(text) {
			got = append(got, c.version+" "+c.id)
		}
		if got := strings.Join(got, ", "); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// scan reads the citations of all Go files below a directory.
func scan(t *testing.T, root string) (all []citation) {
	t.Helper()
	files := token.NewFileSet()
	packages := map[string][]*ast.File{} // by directory
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || path == "citations_test.go" {
			return err
		}
		f, err := parser.ParseFile(files, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err == nil {
			packages[filepath.Dir(path)] = append(packages[filepath.Dir(path)], f)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		for _, f := range packages[dir] {
			path := filepath.ToSlash(files.Position(f.Pos()).Filename)
			test := strings.HasSuffix(path, "_test.go")
			for _, s := range spoken(f) {
				name := declared(f, s.pos)
				if test {
					name = tester(append([]*ast.File{f}, packages[dir]...), name)
				}
				for _, c := range cited(s.text) {
					c.test, c.at = test, fmt.Sprint(path, ":", files.Position(s.pos).Line)
					c.place = placeName(path, name, test)
					all = append(all, c)
				}
			}
		}
	}
	return all
}

// placeName says where something is: "file: function", or a test with its package unless that is this one. Empty: nowhere.
func placeName(path, name string, test bool) string {
	path = strings.TrimPrefix(path, "../")
	switch dir := filepath.ToSlash(filepath.Dir(path)); {
	case name == "":
		return ""
	case !test:
		return path + ": " + name
	case dir == ".":
		return name
	default:
		return dir + "." + name
	}
}

// speech is a comment or a string of a file.
type speech struct {
	pos  token.Pos
	text string
}

func spoken(f *ast.File) (all []speech) {
	for _, c := range f.Comments {
		var lines []string
		for _, line := range c.List {
			lines = append(lines, strings.TrimPrefix(line.Text, "//"))
		}
		all = append(all, speech{c.Pos(), strings.Join(lines, "\n")})
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.BasicLit); ok && s.Kind == token.STRING {
			all = append(all, speech{s.Pos(), s.Value})
		}
		return true
	})
	return all
}

// declared names what is declared at a place, or right behind it; empty: neither.
func declared(f *ast.File, pos token.Pos) string {
	for _, d := range f.Decls {
		from, name := d.Pos(), ""
		switch d := d.(type) {
		case *ast.FuncDecl:
			name = d.Name.Name
			if d.Recv != nil {
				name = receiver(d.Recv.List[0].Type) + "." + name
			}
			if d.Doc != nil {
				from = d.Doc.Pos()
			}
		case *ast.GenDecl:
			if d.Doc != nil {
				from = d.Doc.Pos()
			}
			if len(d.Specs) > 0 {
				switch s := d.Specs[0].(type) {
				case *ast.ValueSpec:
					name = s.Names[0].Name
				case *ast.TypeSpec:
					name = s.Name.Name
				}
			}
		}
		if from <= pos && pos <= d.End()+1 { // or behind it on its last line
			return name
		}
	}
	return ""
}

// receiver is the name of a receiver's type.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return "?"
}

// tester is the test that a name of a test file belongs to: itself, or the first one that uses it.
func tester(files []*ast.File, name string) string {
	if isTest(name) || name == "" {
		return name
	}
	name = name[strings.LastIndex(name, ".")+1:]
	for _, f := range files {
		for _, d := range f.Decls {
			test, ok := d.(*ast.FuncDecl)
			if !ok || test.Body == nil || !isTest(test.Name.Name) {
				continue
			}
			uses := false
			ast.Inspect(test.Body, func(n ast.Node) bool {
				i, ok := n.(*ast.Ident)
				uses = uses || ok && i.Name == name
				return !uses
			})
			if uses {
				return test.Name.Name
			}
		}
	}
	return ""
}

func isTest(name string) bool {
	return strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz")
}
