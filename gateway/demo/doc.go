// Package demo runs a whole gateway on any machine, with nothing attached and no network: simulated chips behind the
// real drivers, the real broker and store, the real bridge, and an embedded upstream broker that goes away and comes
// back. It writes only to a temporary directory, which it removes.
//
//	simulated BME280, BMP280, BMP180 ── I2C driver ──▶ gateway ──▶ broker ──▶ store ──▶ bridge ──▶ embedded upstream
//	                                                     │ counted                                    │ counted
//	                                                     └─────────────── compared at the end ◀───────┘
//
// The chips, the bus and the upstream are simulations; everything between them is what runs on a board.
package demo
