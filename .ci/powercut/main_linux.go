package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	program := flag.String("weir", "", "path of the weir that is run")
	seeds := flag.Int("seeds", 1, "how many seeds")
	first := flag.Uint64("first", 1, "the first of them")
	lies := flag.Bool("lies", false, "the disk answers a flush without doing it: then things must go wrong")
	keys := flag.String("keys", "", "not for use by hand: change keyed state in this directory")
	check := flag.Bool("check", false, "with -keys: only look at it")
	flag.Parse()
	if *keys != "" {
		if err := runKeys(*keys, *check, os.Stdout); err != nil {
			fmt.Println("wrong", err)
			os.Exit(1)
		}
		return
	}
	if why := missing(); why != "" {
		fmt.Println("NOT RUN powercut:", why)
		return
	}
	if status, err := inside(); status >= 0 {
		if err != nil {
			fmt.Fprintln(os.Stderr, "powercut:", err)
		}
		os.Exit(status)
	} else if err != nil {
		fmt.Println("NOT RUN powercut: no mount namespace of its own:", err)
		return
	}
	bad := 0
	begin := time.Now()
	for seed := *first; seed < *first+uint64(*seeds); seed++ {
		if err := runSeed(*program, seed, *lies); err != nil {
			fmt.Printf("powercut: seed %d: FAILED: %v\n", seed, err)
			bad++
		}
	}
	fmt.Printf("powercut: %d seeds, 2 cuts each, %d failed, in %s\n", *seeds, bad, time.Since(begin).Round(time.Second))
	if bad > 0 {
		os.Exit(1)
	}
}
