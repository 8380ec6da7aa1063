-- Whether the user of the connection may write at all: 1 and 2 mean that it may only read.
SELECT toUInt8(getSetting('readonly'))
