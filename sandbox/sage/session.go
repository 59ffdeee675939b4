package sage

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tallystick/tallystick/sandbox/faults"
)

// session is one login: it acts for one user until it ends. An earlier login stays usable beside a later one.
type session struct {
	userID  int64
	expires time.Time
}

var errNoSession = errors.New("Authorization has been denied for this request.") //nolint:staticcheck,revive // goes out as it is

func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	var in struct{ Username, Password string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Username == "" || in.Password == "" {
		answerError(w, http.StatusBadRequest, "username and password are required", 0)
		return
	}
	for _, u := range s.opts.Users {
		if u.PublicKey != "" && u.PublicKey == in.Username && u.SecretKey == in.Password {
			answerJSON(w, map[string]string{"token": s.open(u.ID)})
			return
		}
	}
	answerError(w, http.StatusUnauthorized, "Invalid credentials", 0)
}

func (s *Server) open(userID int64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logins++
	sum := sha256.Sum256(fmt.Appendf(nil, "%d|%d|%p", s.logins, userID, s))
	token := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%d|%x", s.opts.Now().Unix(), sum))
	s.sessions[token] = session{userID: userID, expires: s.opts.Now().Add(s.opts.SessionLife)}
	return token
}

// user is whom the request acts for, or errNoSession.
func (s *Server) user(r *http.Request) (int64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	found, ok := s.sessions[r.Header.Get("X-Session-Key")]
	if !ok || !s.opts.Now().Before(found.expires) {
		return 0, errNoSession
	}
	return found.userID, nil
}

// EndSessions makes every token stale, as if its time were over.
func (s *Server) EndSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.sessions)
}

// refuse answers a fault in the vendor's shape.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, f faults.Fault) {
	switch f.Kind {
	case faults.Throttle:
		answerError(w, http.StatusTooManyRequests, "Too many requests", 0)
	case faults.StaleToken:
		s.mu.Lock()
		delete(s.sessions, r.Header.Get("X-Session-Key"))
		s.mu.Unlock()
		answerError(w, http.StatusUnauthorized, errNoSession.Error(), 0)
	default:
		code := 0
		if f.Status >= http.StatusInternalServerError {
			code = codeNoDatabase
		}
		answerError(w, f.Status, http.StatusText(f.Status), code)
	}
}
