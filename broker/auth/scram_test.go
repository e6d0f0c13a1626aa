package auth

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// pencil is the entry of the password of RFC 7677, section 3, under its salt.
const pencil = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

// TestScramVector is the exchange of RFC 7677, section 3.
func TestScramVector(t *testing.T) {
	p := load(t, "user:"+pencil+"\n")
	k, offered := p.Keys("user")
	if !offered || !k.Known {
		t.Fatalf("keys %+v, %v", k, offered)
	}
	s, err := BeginScram([]byte("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"))
	if err != nil || s.User != "user" {
		t.Fatalf("%+v, %v", s, err)
	}
	const challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
	if got := string(s.challenge(k, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")); got != challenge {
		t.Errorf("challenge %s, want %s", got, challenge)
	}
	answer, err := s.Finish([]byte("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="))
	if want := "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="; string(answer) != want || err != nil {
		t.Errorf("answer %s, %v, want %s", answer, err, want)
	}
	for range 2 { // the second time from memory
		if !verify(t, p, "user", "pencil") || verify(t, p, "user", "Pencil") || verify(t, p, "user", "") {
			t.Error("the keys do not tell the password from others")
		}
	}
	h, err := parseHash(pencil)
	if err != nil || h.String() != pencil {
		t.Errorf("%s became %s, %v", pencil, h, err)
	}
	_, h.server = scramKeys([]byte("pencil"), h.salt, 4096)
	if h.String() != pencil {
		t.Errorf("made anew it is %s", h)
	}
}

// TestDocumentedKeys reads the example of doc.go as a file.
func TestDocumentedKeys(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^//\t((?:# scram-secret |meter:).*)$`).FindAllStringSubmatch(string(doc), -1)
	if len(lines) != 2 {
		t.Fatalf("%d lines in doc.go, want 2", len(lines))
	}
	p := load(t, lines[0][1]+"\n"+lines[1][1]+"\n")
	if !verify(t, p, "meter", "pencil") || p.table.Load().secret == nil {
		t.Error("the example does not hold the password it says, or no secret")
	}
}

// answerTo is the last message of a client that has a password: section 3 of RFC 5802, by its formulas.
func answerTo(t testing.TB, header, bare, challenge, password string) string {
	t.Helper()
	parts := regexp.MustCompile(`^(r=[^,]+),s=([^,]+),i=([0-9]+)$`).FindStringSubmatch(challenge)
	if parts == nil {
		t.Fatalf("challenge %q", challenge)
	}
	salt, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(parts[3])
	salted, err := pbkdf2.Key(sha256.New, password, salt, n, 32)
	if err != nil {
		t.Fatal(err)
	}
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	client := mac(salted, "Client Key")
	stored := sha256.Sum256(client)
	without := "c=" + base64.StdEncoding.EncodeToString([]byte(header)) + "," + parts[1]
	for i, b := range mac(stored[:], bare+","+challenge+","+without) {
		client[i] ^= b
	}
	return without + ",p=" + base64.StdEncoding.EncodeToString(client)
}

// TestScramExchange logs in in every way that is allowed, and is refused with each password but the right one.
func TestScramExchange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passwords")
	for _, name := range []string{"pump7", "a,b=c", "two words"} {
		if _, err := SetScram(path, name, []byte("squeamish "+name), MinIterations); err != nil {
			t.Fatal(err)
		}
	}
	p := NewPasswords()
	if _, err := p.Load(path); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, header, bare, user string }{
		{"plain", "n,,", "n=pump7,r=abc", "pump7"},
		{"could bind the channel", "y,,", "n=pump7,r=abc", "pump7"},
		{"as itself", "n,a=pump7,", "n=pump7,r=abc", "pump7"},
		{"signs in the name", "n,,", "n=a=2Cb=3Dc,r=abc", "a,b=c"},
		{"blanks", "n,a=two words,", "n=two words,r=!~", "two words"},
		{"with an extension", "n,,", "n=pump7,r=abc,x=y,z=", "pump7"},
	} {
		for password, want := range map[string]error{"squeamish " + tt.user: nil, "squeamish": ErrScramProof, "": ErrScramProof} {
			s, err := BeginScram([]byte(tt.header + tt.bare))
			if err != nil || s.User != tt.user {
				t.Fatalf("%s: %+v, %v", tt.name, s, err)
			}
			k, _ := p.Keys(s.User)
			challenge := string(s.Challenge(k))
			answer, err := s.Finish([]byte(answerTo(t, tt.header, tt.bare, challenge, password)))
			if err != want || (answer != nil) != (want == nil) {
				t.Errorf("%s: %q: %q, %v, want %v", tt.name, password, answer, err, want)
			}
		}
	}
}

// TestScramProofOfNobody: made-up keys take no proof, not even one that fits them.
func TestScramProofOfNobody(t *testing.T) {
	h, err := parseHash(pencil)
	if err != nil {
		t.Fatal(err)
	}
	k := Keys{Salt: h.salt, Iterations: 4096, Stored: [32]byte(h.sum), Server: [32]byte(h.server)}
	for _, known := range []bool{true, false} {
		k.Known = known
		s, err := BeginScram([]byte("n,,n=user,r=abc"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Finish([]byte(answerTo(t, "n,,", "n=user,r=abc", string(s.Challenge(k)), "pencil")))
		if (err == nil) != known {
			t.Errorf("known %v: %v", known, err)
		}
	}
}

var badFirst = []struct{ name, message, want string }{
	{"empty", "", "without its header"},
	{"no header", "n=user,r=abc", "without its header"},
	{"no flag", "x,,n=user,r=abc", "without a channel binding flag"},
	{"binds the channel", "p=tls-unique,,n=user,r=abc", "channel binding is asked for"},
	{"no name", "n,,r=abc", `without "n="`},
	{"empty name", "n,,n=,r=abc", "a user without a name"},
	{"no nonce", "n,,n=user", "without a nonce"},
	{"empty nonce", "n,,n=user,r=", "without a nonce"},
	{"nonce of control characters", "n,,n=user,r=a\tb", "nonce that is not printable"},
	{"long nonce", "n,,n=user,r=" + strings.Repeat("x", 257), "without a nonce of 1 to 256 bytes"},
	{"mandatory extension", "n,,m=x,n=user,r=abc", "mandatory"},
	{"bad escape", "n,,n=us=2cer,r=abc", "= that stands for nothing"},
	{"escape cut short", "n,,n=us=2", "= that stands for nothing"},
	{"other letters", "n,,n=pörtal,r=abc", "not printable ASCII"},
	{"not text", "n,,n=user,r=abc,x=\xff", "not text"},
	{"zero", "n,,n=user,r=abc,x=\x00", "not text"},
	{"long name", "n,,n=" + strings.Repeat("x", 256) + ",r=abc", "limit 255"},
	{"longer name", "n,,n=" + strings.Repeat("x", 1000) + ",r=abc", "more than 255"},
	{"long", "n,,n=user,r=abc,x=" + strings.Repeat("x", 5000), "limit 4096"},
	{"for another", "n,a=root,n=user,r=abc", "logs in as another"},
	{"bad other", "n,root,n=user,r=abc", `without "a="`},
}

func TestBadFirstMessages(t *testing.T) {
	for _, tt := range badFirst {
		if s, err := BeginScram([]byte(tt.message)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %+v, %v, want %s", tt.name, s, err, tt.want)
		}
	}
	for message, want := range map[string]error{"p=x,,n=user,r=abc": ErrScramBinding, "n,a=root,n=user,r=abc": ErrScramOnBehalf} {
		if _, err := BeginScram([]byte(message)); !errors.Is(err, want) {
			t.Errorf("%s: %v", message, err)
		}
	}
}

func TestBadLastMessages(t *testing.T) {
	h, err := parseHash(pencil)
	if err != nil {
		t.Fatal(err)
	}
	k := Keys{Salt: h.salt, Iterations: 4096, Stored: [32]byte(h.sum), Server: [32]byte(h.server), Known: true}
	for _, tt := range []struct {
		name string
		bend func(string) string
		want string
	}{
		{"as it is", func(s string) string { return s }, ""},
		{"empty", func(string) string { return "" }, "without a proof"},
		{"no proof", func(s string) string { return s[:strings.Index(s, ",p=")] }, "without a proof"},
		{"no nonce", func(s string) string { return "c=biws" + s[strings.Index(s, ",p="):] }, "channel binding"},
		{"another nonce", func(s string) string { return strings.Replace(s, "r=abc", "r=abd", 1) }, "another nonce"},
		{"the client's nonce", func(s string) string { return "c=biws,r=abc" + s[strings.Index(s, ",p="):] }, "another nonce"},
		{"another header", func(s string) string { return strings.Replace(s, "c=biws", "c=eSws", 1) }, "channel binding"},
		{"the proof is no base64", func(s string) string { return strings.TrimSuffix(s, "=") }, "proof"},
		{"the proof is short", func(s string) string { return s[:strings.Index(s, ",p=")] + ",p=AAAA" }, "a proof of 3 bytes"},
		{"an extension that was not proved", func(s string) string { return strings.Replace(s, ",p=", ",x=y,p=", 1) }, "the proof is wrong"},
		{"long", func(s string) string { return strings.Replace(s, ",p=", ",x="+strings.Repeat("x", 5000)+",p=", 1) }, "limit 4096"},
	} {
		s, err := BeginScram([]byte("n,,n=user,r=abc"))
		if err != nil {
			t.Fatal(err)
		}
		last := tt.bend(answerTo(t, "n,,", "n=user,r=abc", string(s.Challenge(k)), "pencil"))
		_, err = s.Finish([]byte(last))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestMadeUpKeys: who is no user, or has no keys, gets keys that look as if, the same ones always, also in another process and
// when other users come and go.
func TestMadeUpKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passwords")
	set := func(name string, iterations int) {
		t.Helper()
		if _, err := SetScram(path, name, []byte("secret"), iterations); err != nil {
			t.Fatal(err)
		}
	}
	keys := func(name string) Keys {
		t.Helper()
		p := NewPasswords()
		if _, err := p.Load(path); err != nil {
			t.Fatal(err)
		}
		k, offered := p.Keys(name)
		if !offered {
			t.Fatal("no user has keys")
		}
		return k
	}
	set("pump7", 5000)
	if _, err := Set(path, "plain", []byte("secret")); err != nil {
		t.Fatal(err)
	}
	before := map[string]Keys{}
	for _, name := range []string{"nobody", "nobody else", "plain"} {
		k := keys(name)
		if k.Known || k.Iterations != 5000 || len(k.Salt) != newSalt {
			t.Errorf("%s: %+v", name, k)
		}
		before[name] = k
	}
	if a, b := before["nobody"], before["plain"]; string(a.Salt) == string(b.Salt) || a.Stored == b.Stored || a.Server == b.Server {
		t.Error("two names have the same made-up keys")
	}
	set("valve", 5000)
	if _, err := Delete(path, "pump7"); err != nil {
		t.Fatal(err)
	}
	for name, was := range before {
		if k := keys(name); string(k.Salt) != string(was.Salt) || k.Stored != was.Stored || k.Server != was.Server || k.Iterations != was.Iterations {
			t.Errorf("%s: %+v, was %+v", name, k, was)
		}
	}
	set("many", 9000)
	times := map[int]int{}
	for i := range 1000 {
		times[keys("nobody "+strconv.Itoa(i)).Iterations]++
	}
	if times[5000] < 400 || times[9000] < 400 || times[5000]+times[9000] != 1000 {
		t.Errorf("iterations of made-up keys: %v, want those of users, half and half", times)
	}
	if _, offered := load(t, quickLine("u", "secret")).Keys("u"); offered {
		t.Error("keys without a user who has some")
	}
	p := load(t, "user:"+pencil) // a file without a secret
	a, _ := p.Keys("nobody")
	b, _ := p.Keys("nobody")
	if string(a.Salt) != string(b.Salt) || a.Iterations != 4096 {
		t.Errorf("%+v, then %+v", a, b)
	}
}

func TestSetScram(t *testing.T) {
	path := writeFile(t, "# people\n"+quickLine("other", "x")+quickLine("pump7", "old"))
	if replaced, err := SetScram(path, "pump7", []byte("secret"), DefaultIterations); !replaced || err != nil {
		t.Fatal(replaced, err)
	}
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !HasScram(path, "pump7") || HasScram(path, "other") || HasScram(path, "nobody") || HasScram(path+"x", "pump7") {
		t.Errorf("who has keys is not told from the others:\n%s", first)
	}
	if !regexp.MustCompile(`^# scram-secret \S{44}\n# people\nother:\S+\npump7:SCRAM-SHA-256\$15000:\S+\n$`).Match(first) {
		t.Errorf("the file is\n%s", first)
	}
	if _, err := SetScram(path, "valve", []byte("secret"), MinIterations); err != nil {
		t.Fatal(err)
	}
	second, _ := os.ReadFile(path)
	if !strings.HasPrefix(string(second), string(first)) || strings.Contains(string(second), "secret:") {
		t.Errorf("the file became\n%s", second)
	}
	for _, tt := range []struct {
		name, password, want string
		iterations           int
	}{
		{"pump7", "secret", "4095 iterations, want 4096", 4095},
		{"pump7", "secret", "500001 iterations", 500_001},
		{"pump7", "pörtal", "a password must be of printable ASCII", 4096},
		{"pörtal", "secret", "a name must be of printable ASCII", 4096},
		{"pump7", "", "the password is empty", 4096},
		{"pump:7", "secret", "want no colon", 4096},
	} {
		if _, err := SetScram(path, tt.name, []byte(tt.password), tt.iterations); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "pörtal") && tt.name == "pump7" {
			t.Errorf("%q: %v, want %s", tt.name, err, tt.want)
		}
	}
	if last, _ := os.ReadFile(path); string(last) != string(second) {
		t.Error("what was refused changed the file")
	}
}

func TestBadScramLines(t *testing.T) {
	for bad, want := range map[string]string{
		"SCRAM-SHA-256$":     "cut short",
		"SCRAM-SHA-256$4096": "cut short",
		pencil + "$":         "cut short or go on",
		pencil + ":x":        "cut short or go on",
		strings.Replace(pencil, "4096", "0x10", 1):   "without their iterations",
		strings.Replace(pencil, "4096", "04096", 1):  "without their iterations",
		strings.Replace(pencil, "4096", "4095", 1):   "of 4095 iterations",
		strings.Replace(pencil, "4096", "500001", 1): "of 500001 iterations",
		strings.Replace(pencil, "W22Z", "", 1):       "", // a shorter salt is one
		strings.Replace(pencil, "W22Z", "W2Z", 1):    "a salt that is not base64",
		strings.Replace(pencil, "WG5d", "", 1):       "a StoredKey of 29 bytes",
		strings.Replace(pencil, "wfPL", "", 1):       "a ServerKey of 29 bytes",
		"SCRAM-SHA-1$" + pencil[14:]:                 "no hash",
	} {
		_, err := parseHash(bad)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", bad, err, want)
		}
	}
}

// FuzzScram gives both messages of a client. No proof is right by chance, and what the first message says holds.
func FuzzScram(f *testing.F) {
	for _, tt := range badFirst {
		f.Add([]byte(tt.message), []byte("c=biws,r=abc,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="))
	}
	f.Add([]byte("n,,n=user,r=abc"), []byte("c=biws,r=abcdef,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="))
	f.Add([]byte("y,a=a=2C=3D,n=a=2C=3D,r=abc,x=y"), []byte("c=eSwsYT1hPTJDPTNELA==,r=abcdef,x=y,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="))
	h, err := parseHash(pencil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, first, last []byte) {
		s, err := BeginScram(first)
		if err != nil {
			return
		}
		if len(s.User) > maxName || checkName(s.User) != nil || !printable(s.User) {
			t.Fatalf("user %q", s.User)
		}
		if s.header+s.said != string(first) {
			t.Fatalf("%q became %q and %q", first, s.header, s.said)
		}
		bare := s.said
		k := Keys{Salt: h.salt, Iterations: 4096, Stored: [32]byte(h.sum), Server: [32]byte(h.server), Known: true}
		challenge := s.challenge(k, "def")
		if answer, err := s.Finish(last); err == nil {
			t.Fatalf("%q was let in by %q: %q", first, last, answer)
		}
		right := answerTo(t, s.header, bare, string(challenge), "pencil")
		if _, err := s.Finish([]byte(right)); err != nil {
			t.Fatalf("the right proof for %q was refused: %v", first, err)
		}
	})
}
