/** The 16550 at COM1: what a person at the console reads. Written by polling; nothing waits for it in the message path. */
import { inb, outb, read8Far } from "./cpu";

const port: u32 = 0x3f8;
const lineStatus: u32 = port + 5;
const transmitterEmpty: u32 = 0x20, received: u32 = 1;
/** A port nobody listens to answers 0xff; one that is never empty must not hold the machine up. */
const mostPolls: u32 = 100_000;

/** 115,200 baud, 8 bits, no parity, FIFO on, no interrupts (PC16550D data sheet, 8.0). */
export function startSerial(): void {
  outb(port + 1, 0);
  outb(port + 3, 0x80);
  outb(port, 1);
  outb(port + 1, 0);
  outb(port + 3, 0x03);
  outb(port + 2, 0xc7);
}

export function printByte(byte: u32): void {
  let polls: u32 = 0;
  while ((inb(lineStatus) & transmitterEmpty) === 0 && ++polls < mostPolls) {}
  outb(port, byte);
}

/** A literal: its UTF-16 units lie in static data. ASCII only. */
export function print(text: string): void {
  const at = changetype<usize>(text);
  for (let i: i32 = 0; i < text.length; i++) printByte(load<u16>(at + ((<usize>i) << 1)));
}

export function printLine(text: string): void {
  print(text);
  print("\r\n");
}

export function printHex(value: u64, digits: i32): void {
  for (let shift = (digits - 1) * 4; shift >= 0; shift -= 4) {
    const digit = <u32>(value >> shift) & 15;
    printByte(digit < 10 ? 48 + digit : 87 + digit);
  }
}

export function printNumber(value: u64): void {
  if (value >= 10) printNumber(value / 10);
  printByte(48 + <u32>(value % 10));
}

export function printBytes(address: usize, length: u32): void {
  for (let i: u32 = 0; i < length; i++) {
    const byte = load<u8>(address + i);
    printByte(byte < 32 || byte > 126 ? 63 : byte); // nothing from outside reaches a terminal as a control code
  }
}

/** A byte of text as a terminal may have it. */
export function cleanByte(byte: u32): u32 {
  return (byte < 32 && byte !== 9 && byte !== 10) || byte === 127 ? 63 : byte;
}

/** Text of a module's: lines end in \n, bytes of UTF-8 pass, and control codes don't. */
export function printText(from: u64, length: u32): void {
  for (let i: u32 = 0; i < length; i++) {
    const byte = read8Far(from + i);
    if (byte === 10) printByte(13);
    printByte(cleanByte(byte));
  }
}

/** A byte that came in, or −1. */
export function serialByte(): i32 {
  const status = inb(lineStatus);
  return status === 0xff || (status & received) === 0 ? -1 : <i32>inb(port);
}
