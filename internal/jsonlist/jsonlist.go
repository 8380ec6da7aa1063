// Package jsonlist makes JSON for programs, in which a list without entries is [] and never null, and a map {}: whoever goes
// over it must not have to ask first.
package jsonlist

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
)

// Of returns v with an empty list or map for each that is nil, however deep. v stays as it is. What writes its own JSON, what is left
// out when it is nil, and a nil v are left alone.
func Of(v any) any {
	value := reflect.ValueOf(v)
	if !value.IsValid() {
		return v
	}
	return filled(value).Interface()
}

var (
	ownJSON = reflect.TypeFor[json.Marshaler]()
	ownText = reflect.TypeFor[encoding.TextMarshaler]()
)

// filled returns a copy where something is to be filled in, else v itself.
func filled(v reflect.Value) reflect.Value {
	t := v.Type()
	if !mayHaveLists(t, nil) {
		return v
	}
	switch t.Kind() { //nolint:exhaustive // the others hold no lists
	case reflect.Slice:
		all := reflect.MakeSlice(t, v.Len(), v.Len())
		for i := range v.Len() {
			all.Index(i).Set(filled(v.Index(i)))
		}
		return all
	case reflect.Map:
		all := reflect.MakeMapWithSize(t, v.Len())
		for entries := v.MapRange(); entries.Next(); {
			all.SetMapIndex(entries.Key(), filled(entries.Value()))
		}
		return all
	case reflect.Array:
		all := reflect.New(t).Elem()
		for i := range v.Len() {
			all.Index(i).Set(filled(v.Index(i)))
		}
		return all
	case reflect.Struct:
		return filledStruct(v)
	case reflect.Interface, reflect.Pointer:
		if v.IsNil() {
			return v
		}
		if t.Kind() == reflect.Interface {
			return filled(v.Elem())
		}
		target := reflect.New(t.Elem())
		target.Elem().Set(filled(v.Elem()))
		return target.Convert(t)
	}
	return v
}

func filledStruct(v reflect.Value) reflect.Value {
	all := reflect.New(v.Type()).Elem()
	all.Set(v)
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.IsExported() && !leftOut(field, v.Field(i)) {
			all.Field(i).Set(filled(v.Field(i)))
		}
	}
	return all
}

// leftOut reports whether a nil field does not appear, or, with omitzero, would appear only when it is filled in.
func leftOut(field reflect.StructField, v reflect.Value) bool {
	name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name == "-" && options == "" || strings.Contains(options, "omitzero") && v.IsZero()
}

// mayHaveLists goes by the type, so that a million candles are not looked through one by one. seen are the types above it.
func mayHaveLists(t reflect.Type, seen []reflect.Type) bool {
	for _, above := range seen {
		if above == t {
			return false
		}
	}
	if t.Kind() != reflect.Interface && (t.Implements(ownJSON) || t.Implements(ownText)) {
		return false
	}
	seen = append(seen, t)
	switch t.Kind() { //nolint:exhaustive // the others hold no lists
	case reflect.Interface, reflect.Map:
		return true
	case reflect.Slice:
		return t.Elem().Kind() != reflect.Uint8 // JSON has bytes as text
	case reflect.Array, reflect.Pointer:
		return mayHaveLists(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if field := t.Field(i); field.IsExported() && mayHaveLists(field.Type, seen) {
				return true
			}
		}
	}
	return false
}
