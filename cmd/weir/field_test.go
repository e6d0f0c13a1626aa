package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// fieldCases are the ways in which other brokers, bridges and gateways are known to lose or hold back data, each with the
// test that weir does not. What weir does not have yet (a proxy, rules managed while it runs) has no case.
var fieldCases = []struct{ what, room, test string }{
	{"outage data missing with the defaults: QoS 0, a cap of 1000, a restart", "gateway", "TestField_OutageDataMissingWithDefaults"},
	{"connecting, DNS or a hung upstream stalls local clients", "gateway", "TestField_HangingUpstreamStallsNoLocalClient"},
	{"a zeroed or torn file stops the start", "buffer", "TestField_ZeroedFileStillStarts"},
	{"a damaged store is deleted and begun anew", "buffer", "TestField_DamagedStoreIsNotThrownAway"},
	{"the whole state is written again and again", "buffer", "TestField_WritesDoNotGrowWithTheBacklog"},
	{"saving a large state holds everybody up", "buffer", "TestField_SavingTheStateHoldsUpNobody"},
	{"draining a backlog starves local clients", "gateway", "TestField_DrainingServesLocalClients"},
	{"memory grows with the outage", "buffer", "TestField_OutageFillsNoMemory"},
	{"a queue that was full once never sends again", "buffer", "TestField_QueueFullNeverWedges"},
	{"one lost PUBACK freezes the window", "bridge", "TestField_OneLostPubackFreezesNothing"},
	{"Receive Maximum is overrun, and the upstream disconnects in a circle", "bridge", "TestField_ReceiveMaximumIsNotOverrun"},
	{"QoS 2 after a reconnect: PUBREL is never sent, or the message again and again", "bridge", "TestField_PubrelIsSentAfterAReconnect"},
	{"topics that go both ways go in a circle", "bridge", "TestField_TheSameTopicBothWaysMakesNoCircle"},
	{"a backlog drains one message a tick", "bridge", "TestField_DrainHasManyOnTheWay"},
	{"a backlog waits for the next new message", "bridge", "TestField_BacklogLeavesWithoutANewMessage"},
	{"messages between the death of a link and its detection", "gateway", "TestField_LostBetweenLinkDeathAndDetection"},
	{"the state topic says up while nothing gets through, and down while it does", "bridge", "TestField_StateTopicIsTrue"},
	{"retained messages deleted during an outage stay upstream", "bridge", "TestField_RetainedDeleteMadeOffline"},
	{"a copied client id makes an endless take-over", "bridge", "TestField_CopiedClientIDMakesNoRace"},
	{"an upstream without retained messages ends the connection over the flag", "bridge", "TestField_RetainFlagDoesNotEndTheConnection"},
	{"a name that does not resolve at boot, or a number of attempts, drops what waits", "bridge", "TestField_HundredFailedAttemptsDropNothing"},
	{"a clock step disconnects everybody", "broker", "TestField_ClockStepDisconnectsNobody"},
	{"buffered messages expire by themselves", "bridge", "TestField_LongOutageExpiresNothing"},
	{"removed from the store before the upstream has acknowledged", "bridge", "TestField_RemovedBeforeTheResendIsAcknowledged"},
	{"what was delivered comes again from an old snapshot, or is never freed", "buffer", "TestField_DeliveredIsNotReplayed"},
	{"acknowledged while it is in memory only", "gateway/journal", "TestNothingIsSettledBeforeItsCommit"},
	{"acknowledged after a sync that failed", "gateway/journal", "TestFailedSyncSettlesNothing"},
	{"a full disk is answered by falling back to memory", "gateway/journal", "TestStoreFailures"},
	{"dropped in silence", "gateway/journal", "TestDropsOfAFullQueueAreKept"},
	{"one sync for each message", "gateway/journal", "TestOutageGroupsCommits"},
	{"order is lost between what waited and what is new", "bridge", "TestQuotaExceededIsRetriedInOrder"},
	{"lost by kill -9", "cmd/weir", "TestKillAtRandom"},
	{"lost by a power cut", "gateway/journal", "TestPowerCut"},
}

// Every case has its test, under that name.
func TestFieldCasesAreTested(t *testing.T) {
	listed := map[string]bool{}
	text := map[string]string{}
	for _, c := range fieldCases {
		listed[c.test] = true
		if text[c.room] == "" {
			names, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(c.room), "*_test.go"))
			if err != nil || len(names) == 0 {
				t.Fatalf("%s: no tests, %v", c.room, err)
			}
			for _, name := range names {
				b, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				text[c.room] += string(b)
			}
		}
		if !regexp.MustCompile(`(?m)^func ` + c.test + `\(`).MatchString(text[c.room]) {
			t.Errorf("%s: there is no %s in %s", c.what, c.test, c.room)
		}
	}
	for room, all := range text {
		for _, found := range regexp.MustCompile(`(?m)^func (TestField_\w+)\(`).FindAllStringSubmatch(all, -1) {
			if !listed[found[1]] {
				t.Errorf("%s in %s is not among the cases", found[1], room)
			}
		}
	}
}
