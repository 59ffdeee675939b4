package config

import (
	"fmt"
	"log/slog"
	"strings"
)

// LogValue is a summary for the start of a process's log: every variable and what it is taken to be, with secrets shown
// only as set or not set. Optional ones that are not set are left out.
func (c Config) LogValue() slog.Value {
	var attrs []slog.Attr
	for _, v := range variables(&c) {
		if v.value.IsZero() && v.Default == "" && len(v.Needed) == 0 {
			continue
		}
		attrs = append(attrs, slog.String(v.Name, fmt.Sprint(v.value.Interface())))
	}
	if len(c.Unknown) > 0 {
		attrs = append(attrs, slog.String("not_understood", strings.Join(c.Unknown, ", ")))
	}
	return slog.GroupValue(attrs...)
}
