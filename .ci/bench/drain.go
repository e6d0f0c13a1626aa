package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"weir/buffer"
)

// drain measures how fast a backlog leaves the buffer, a message of 100 bytes at
// a time acknowledged in batches, with the files in the page cache and without.
func drain(s *settings) error {
	fmt.Printf("draining %d messages of 100 bytes, median of %d runs\n", s.records, s.runs)
	rates := map[string][]float64{}
	names := []string{}
	for run := range s.runs {
		for i := range 4 {
			compress, cold := i >= 2, i%2 == 1
			name := fmt.Sprintf("compressed=%v, cache cold=%v", compress, cold)
			if run == 0 {
				names = append(names, name)
			}
			rate, err := drainOnce(s, compress, cold)
			if err != nil {
				return err
			}
			rates[name] = append(rates[name], rate)
		}
	}
	for _, name := range names {
		fmt.Printf("   %-40s %10.0f/s\n", name, median(rates[name]))
	}
	for _, name := range names {
		bar("messages a second, "+name, median(rates[name]), 300_000, false)
	}
	return nil
}

func fillLog(dir string, n int, compress bool) error {
	log, err := buffer.Open(buffer.Options{Dir: dir, MaxSize: 8 << 30, Compress: compress})
	if err != nil {
		return err
	}
	c, err := log.Consumer("all")
	if err != nil {
		return err
	}
	batch := make([]buffer.Record, 100)
	for at := 0; at < n; at += len(batch) {
		for i := range batch {
			p := fmt.Appendf(nil, `{"time":"2026-11-22T14:02:11.%03dZ","value":%d.%02d,"unit":"°C","quality":"good"`, (at+i)%1000, 15+(at+i)*7%13, (at+i)*31%97)
			for len(p) < 100 {
				p = append(p, '.')
			}
			batch[i] = buffer.Record{Boot: 1, Since: int64(at + i), Dests: []buffer.Dest{{Consumer: c.ID()}}, Payload: p}
		}
		if _, k, err := log.Append(batch); k != len(batch) {
			return fmt.Errorf("%d of %d taken: %w", k, len(batch), err)
		}
		if at%10_000 == 0 {
			if err := log.Commit(); err != nil {
				return err
			}
		}
	}
	return log.Close()
}

// drainOnce makes a backlog and drains it.
func drainOnce(s *settings, compress, cold bool) (rate float64, err error) {
	dir, err := os.MkdirTemp(s.dir, "drain")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := fillLog(dir, s.records, compress); err != nil {
		return 0, err
	}
	log, err := buffer.Open(buffer.Options{Dir: dir, MaxSize: 8 << 30})
	if err != nil {
		return 0, err
	}
	c, err := log.Consumer("all")
	if err != nil {
		return 0, err
	}
	if err := cache(dir, cold); err != nil {
		return 0, err
	}
	dst := make([]buffer.Entry, 256)
	ack := make([]buffer.Range, 1)
	got := 0
	begun := time.Now()
	for {
		k, err := c.Next(dst)
		if err != nil {
			return 0, err
		}
		if k == 0 {
			break
		}
		got += k
		ack[0] = buffer.Range{First: dst[0].Number, Last: dst[k-1].Number}
		c.Ack(ack)
	}
	rate = float64(got) / time.Since(begun).Seconds()
	if got != s.records {
		return 0, fmt.Errorf("%d of %d messages came", got, s.records)
	}
	return rate, log.Close()
}

// cache reads all files, or has the system forget them.
func cache(dir string, cold bool) error {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return err
	}
	for _, name := range files {
		if !cold {
			if _, err := os.ReadFile(name); err != nil {
				return err
			}
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
		f.Close()
	}
	return nil
}
