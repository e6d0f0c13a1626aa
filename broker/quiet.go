package broker

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// quietFor is how long a warning that clients can cause at will is not repeated.
const quietFor = time.Minute

// quiet logs what clients can cause at will: each sentence once a minute, with how often it was kept back.
type quiet struct {
	mu   sync.Mutex // guards the field below
	said map[string]*said
}

type said struct {
	at   time.Time
	more int
}

// warn logs a constant sentence with its attributes, unless it did so a short while ago.
func (q *quiet) warn(log *slog.Logger, sentence string, attrs ...any) {
	q.log(log, slog.LevelWarn, sentence, attrs)
}

func (q *quiet) info(log *slog.Logger, sentence string, attrs ...any) {
	q.log(log, slog.LevelInfo, sentence, attrs)
}

func (q *quiet) log(log *slog.Logger, level slog.Level, sentence string, attrs []any) {
	more, now := q.ask(sentence, time.Now())
	if !now {
		return
	}
	if more > 0 {
		attrs = append(attrs, "not_logged", more)
	}
	log.Log(context.Background(), level, sentence, attrs...)
}

// ask tells whether to log the sentence now, and how often it was not since the last time.
func (q *quiet) ask(sentence string, at time.Time) (more int, now bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.said == nil {
		q.said = map[string]*said{}
	}
	s := q.said[sentence]
	if s == nil {
		q.said[sentence] = &said{at: at}
		return 0, true
	}
	if at.Sub(s.at) < quietFor {
		s.more++
		return 0, false
	}
	more = s.more
	*s = said{at: at}
	return more, true
}
