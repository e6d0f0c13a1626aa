package chip

import (
	"cmp"
	"fmt"
	"slices"
)

// modbusBlock is a run of registers that is read in one request.
type modbusBlock struct {
	function     byte
	first, count uint16
}

// String says which registers: "holding registers 4 to 5".
func (b modbusBlock) String() string {
	table := "holding"
	if b.function == readInput {
		table = "input"
	}
	if b.count == 1 {
		return fmt.Sprintf("%s register %d", table, b.first)
	}
	return fmt.Sprintf("%s registers %d to %d", table, b.first, int(b.first)+int(b.count)-1)
}

// asInManual says what to write instead, to a slave without a register whose number looks like that of a manual: those
// have the table as their first digit and count from 1.
func (b modbusBlock) asInManual(exception byte) string {
	for table, first := range map[string]uint16{"input": 30001, "holding": 40001} {
		if exception == noSuchRegister && b.first >= first && b.first < first+9999 {
			return fmt.Sprintf("; if %d stands in a manual, it is register = %d with table = %q", b.first, b.first-first, table)
		}
	}
	return ""
}

// planModbus sorts words into as few requests as possible, each of at most longest
// registers. Registers between two words are read along if they are no more than
// holes; some slaves refuse to read what they do not have.
func planModbus(words []*modbusWord, holes, longest int) []modbusBlock {
	order := slices.Clone(words)
	slices.SortStableFunc(order, func(a, b *modbusWord) int {
		return cmp.Or(cmp.Compare(a.function, b.function), cmp.Compare(a.register, b.register))
	})
	var blocks []modbusBlock
	for _, w := range order {
		end := int(w.register) + w.registers
		if n := len(blocks); n > 0 {
			b := &blocks[n-1]
			grown := max(end, int(b.first)+int(b.count)) - int(b.first)
			if b.function == w.function && int(w.register) <= int(b.first)+int(b.count)+holes && grown <= longest {
				b.count = uint16(grown)
				w.request, w.at = n-1, 2*int(w.register-b.first)
				continue
			}
		}
		w.request, w.at = len(blocks), 0
		blocks = append(blocks, modbusBlock{w.function, w.register, uint16(w.registers)})
	}
	return blocks
}
