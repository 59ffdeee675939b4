package sage

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/tallystick/tallystick/sandbox/faults"
)

// The vendor's documented error codes. That they sit in the body as "code" is not documented (A70).
const (
	codeNoDatabase = 900 // database connection error
	codeBadSQL     = 901 // SQL is not generated correctly
	codeNoResource = 910 // resource does not exist
)

// maxBody bounds a request's body.
const maxBody = 1 << 20

// route is what a path and method ask for.
type route struct {
	op      string // such as "sage.salesorders.create": for faults and counts
	table   *table
	hooks   bool // in place of a table
	id      int64
	badID   bool
	verb    string // list, get, create, update, delete, schema, login
	allowed bool
}

// ServeHTTP implements http.Handler. Paths are matched without regard to case, as the vendor's seem to be.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := s.route(r)
	if at.op == "" {
		answerError(w, http.StatusBadRequest, "The resource does not exist", codeNoResource)
		return
	}
	s.Count(at.op)
	if s.overLimit() {
		s.answerThrottled(w)
		return
	}
	s.opts.Faults.Serve(at.op, w, r, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.answer(w, r, at)
	}), s.refuse)
}

// route reads the path: {resource}, {resource}/{id}, {resource}/schema, and the same below extrafields/.
func (s *Server) route(r *http.Request) route {
	path, found := strings.CutPrefix(strings.ToLower(r.URL.Path), BasePath+"/")
	if !found {
		return route{}
	}
	path = strings.TrimSuffix(path, "/")
	if path == "login" {
		return route{op: "sage.login", verb: "login", allowed: r.Method == http.MethodPost}
	}
	parts := strings.Split(path, "/")
	name, rest := parts[0], parts[1:]
	if name == "hooks" {
		return routeHooks(r.Method, rest)
	}
	opName := name
	if name == "extrafields" {
		if len(rest) == 0 {
			return route{}
		}
		name, rest = name+"/"+rest[0], rest[1:]
	}
	t := s.tables[name]
	if t == nil || len(rest) > 1 {
		return route{}
	}
	at := route{table: t, allowed: true}
	at.verb = verb(r.Method, rest)
	at.readID(rest)
	if at.verb == "" || t.resource.noAPI && (at.verb == "create" || at.verb == "update" || at.verb == "delete") {
		at.verb, at.allowed = "unsupported", false
	}
	at.op = "sage." + opName + "." + at.verb
	return at
}

// routeHooks reads the path below hooks, which are no table: they have names of their own, no schema, and are not told of
// by hooks.
func routeHooks(method string, rest []string) route {
	at := route{hooks: true, allowed: true, verb: verb(method, rest)}
	at.readID(rest)
	if len(rest) > 1 {
		return route{}
	}
	if at.verb == "" || at.verb == "schema" || at.verb == "update" {
		at.verb, at.allowed = "unsupported", false
	}
	at.op = "sage.hooks." + at.verb
	return at
}

func (at *route) readID(rest []string) {
	if len(rest) == 1 && rest[0] != "schema" {
		id, err := strconv.ParseInt(rest[0], 10, 64)
		at.id, at.badID = id, err != nil
	}
}

func verb(method string, rest []string) string {
	schema := len(rest) == 1 && rest[0] == "schema"
	switch {
	case method == http.MethodGet && schema:
		return "schema"
	case schema:
		return ""
	case method == http.MethodGet && len(rest) == 1:
		return "get"
	case method == http.MethodGet:
		return "list"
	case method == http.MethodPost && len(rest) == 0:
		return "create"
	case method == http.MethodPut && len(rest) == 1:
		return "update"
	case method == http.MethodDelete && len(rest) == 1:
		return "delete"
	}
	return ""
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, at route) {
	if !at.allowed {
		answerError(w, http.StatusMethodNotAllowed, "The requested resource does not support http method '"+r.Method+"'.", 0)
		return
	}
	if at.verb == "login" {
		s.login(w, r)
		return
	}
	userID, err := s.user(r)
	if err != nil {
		answerError(w, http.StatusUnauthorized, err.Error(), 0)
		return
	}
	if at.badID {
		answerError(w, http.StatusBadRequest, "The request is invalid.", 0)
		return
	}
	if at.hooks {
		s.serveHooks(w, r, at, actor{userID: userID})
		return
	}
	switch at.verb {
	case "list":
		s.list(w, r, at.table)
	case "get":
		s.get(w, r, at.table, at.id)
	case "schema":
		s.schema(w, at.table)
	default:
		s.write(w, r, at, actor{userID: userID})
	}
}

func (s *Server) get(w http.ResponseWriter, r *http.Request, t *table, id int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	row := t.rows[id]
	if row == nil {
		answerError(w, http.StatusBadRequest, "The entity does not exist", 0)
		return
	}
	answerBytes(w, s.appendRecord(nil, t, row, r.Header.Get("ExtraFieldDescription") == "0"))
}

func (s *Server) appendRecord(buf []byte, t *table, row *record, idsOnly bool) []byte {
	buf = append(buf, '{')
	for i, f := range t.fields {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = append(buf, '"')
		buf = append(buf, f.name...)
		buf = append(buf, '"', ':')
		if t.resource.zeroOne && f.key == "deleted" {
			buf = strconv.AppendInt(buf, int64(btoi(row.deleted())), 10)
			continue
		}
		buf = s.appendValue(buf, f, row.values[f.key], idsOnly)
	}
	return append(buf, '}')
}

func (s *Server) answerThrottled(w http.ResponseWriter) {
	s.CountThrottled()
	if s.opts.RetryAfter != faults.RetryAfterNone {
		w.Header().Set("Retry-After", "1")
	}
	answerError(w, http.StatusTooManyRequests, "Too many requests", 0)
}

func answerError(w http.ResponseWriter, status int, message string, code int) {
	body := map[string]any{"Message": message}
	if code != 0 {
		body["code"] = code
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func answerJSON(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	answerBytes(w, body)
}

func answerBytes(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(body)
}
