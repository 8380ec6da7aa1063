package clickhouse

import (
	"reflect"
	"slices"
	"strings"
)

// columnsPlaceholder stands, in a statement, for the columns of the Go type that its rows are read into or written from. It is
// the only thing that is put into a statement's text: names from struct tags, never a value.
const columnsPlaceholder = "$columns"

// withColumns names the columns of T in the statement, where it leaves them to T's ch tags.
func withColumns[T any](query string) string { return withColumnsOf(reflect.TypeFor[T](), query) }

func withColumnsOf(row reflect.Type, query string) string {
	return strings.ReplaceAll(query, columnsPlaceholder, strings.Join(columnsOf(row), ", "))
}

// columnsOf lists the ch tags of a row type in the order of its fields. As in Go, a field hides one of the same name that is
// embedded.
func columnsOf(row reflect.Type) (names []string) {
	for _, field := range reflect.VisibleFields(row) {
		shown, _ := row.FieldByName(field.Name)
		name := field.Tag.Get("ch")
		if field.Anonymous || name == "" || !slices.Equal(shown.Index, field.Index) {
			continue
		}
		names = append(names, name)
	}
	return names
}
