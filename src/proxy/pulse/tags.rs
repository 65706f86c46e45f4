//! Tagged values, of which a control packet of PulseAudio's protocol consists: each is a byte for its type, and its
//! content (`pulsecore/tagstruct.c` in PulseAudio's source).

/// A packet that does not follow the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

type Result<T> = std::result::Result<T, Malformed>;

/// Channels of a channel map or of a volume: PipeWire's limit, which is twice that of PulseAudio.
const MOST_CHANNELS: usize = 64;

/// Properties of one property list.
const MOST_PROPERTIES: usize = 256;

/// The type of a value, as one character of a pattern (see [`matches()`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind(pub char);

/// One value with its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    /// The type.
    pub kind: Kind,
    /// All bytes of the value, the tag first.
    pub raw: &'a [u8],
}

impl<'a> Value<'a> {
    /// The number of a 32-bit value; none for other types.
    pub fn number(self) -> Option<u32> {
        let bytes = self.raw.strip_prefix(b"L")?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }

    /// The bytes of a text without the NUL at its end; none for no text (the null pointer) and for other types.
    pub fn text(self) -> Option<&'a [u8]> {
        self.raw.strip_prefix(b"t")?.strip_suffix(b"\0")
    }

    /// The properties of a property list.
    pub fn properties(self) -> Result<Vec<Property<'a>>> {
        let mut reader = Reader::new(self.raw.strip_prefix(b"P").ok_or(Malformed)?);
        let mut found = Vec::new();
        while let Some(property) = reader.property()? {
            found.push(property);
        }
        Ok(found)
    }
}

/// One property of a property list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Property<'a> {
    /// The key, without the NUL at its end.
    pub key: &'a [u8],
    /// The value, which for a text ends with a NUL.
    pub value: &'a [u8],
    /// All bytes of the property.
    pub raw: &'a [u8],
}

/// Reads values one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads these bytes.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What was not read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next value.
    pub fn value(&mut self) -> Result<Value<'a>> {
        let start = self.rest;
        let [tag] = self.array()?;
        let kind = match tag {
            b'L' | b'V' => self.skip(4, tag)?,
            b'B' => self.skip(1, tag)?,
            b'R' | b'r' | b'U' | b'T' => self.skip(8, tag)?,
            // Format, channels, and a 32-bit rate.
            b'a' => self.skip(6, tag)?,
            b'0' | b'1' => 'b',
            b'N' => 't',
            b't' => {
                let end = self.rest.iter().position(|byte| *byte == 0).ok_or(Malformed)?;
                self.skip(end + 1, tag)?
            }
            b'x' => {
                let length = u32::from_be_bytes(self.array()?);
                self.skip(length as usize, tag)?
            }
            b'm' => {
                let channels = self.channels()?;
                self.skip(channels, tag)?
            }
            b'v' => {
                let channels = self.channels()?;
                self.skip(4 * channels, tag)?
            }
            b'P' => {
                let mut count = 0;
                while self.property()?.is_some() {
                    count += 1;
                    if count > MOST_PROPERTIES {
                        return Err(Malformed);
                    }
                }
                'P'
            }
            b'f' => {
                // An encoding, which is a value of one byte, and a property list. No format lies in a format.
                let [b'B', _, b'P'] = *self.rest.first_chunk().ok_or(Malformed)? else { return Err(Malformed) };
                self.take(2)?;
                self.value()?;
                'f'
            }
            _ => return Err(Malformed),
        };
        Ok(Value { kind: Kind(kind), raw: start.get(..start.len() - self.rest.len()).ok_or(Malformed)? })
    }

    /// The next value, which has to be a 32-bit number.
    pub fn number(&mut self) -> Result<u32> {
        self.value()?.number().ok_or(Malformed)
    }

    /// The next property of a list; none at its end.
    fn property(&mut self) -> Result<Option<Property<'a>>> {
        let start = self.rest;
        let [tag] = self.array()?;
        let key = match tag {
            b'N' => return Ok(None),
            b't' => {
                let end = self.rest.iter().position(|byte| *byte == 0).ok_or(Malformed)?;
                self.take(end + 1)?.get(..end).ok_or(Malformed)?
            }
            _ => return Err(Malformed),
        };
        let [b'L'] = self.array()? else { return Err(Malformed) };
        let length: [u8; 4] = self.array()?;
        let [b'x'] = self.array()? else { return Err(Malformed) };
        if self.array()? != length {
            return Err(Malformed);
        }
        let value = self.take(u32::from_be_bytes(length) as usize)?;
        Ok(Some(Property { key, value, raw: start.get(..start.len() - self.rest.len()).ok_or(Malformed)? }))
    }

    fn channels(&mut self) -> Result<usize> {
        let [channels] = self.array()?;
        if usize::from(channels) > MOST_CHANNELS { Err(Malformed) } else { Ok(channels.into()) }
    }

    fn skip(&mut self, length: usize, kind: u8) -> Result<char> {
        self.take(length)?;
        Ok(kind.into())
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (first, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(first)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (first, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*first)
    }
}

/// Whether values are of the types that a pattern names. Its characters are the tags of the protocol (`L` for a 32-bit
/// number, `a` for a sample specification, `m` for a channel map, `v` for volumes, `P` for a property list, `f` for a
/// format, `T` for a time), `t` for a text or none, `b` for a boolean; `*` at its end stands for any further values.
pub fn matches(values: &[Value<'_>], pattern: &str) -> bool {
    let mut values = values.iter();
    for kind in pattern.chars() {
        match (kind, values.next()) {
            ('*', _) => return true,
            (_, Some(value)) if value.kind == Kind(kind) => {}
            _ => return false,
        }
    }
    values.next().is_none()
}

/// Adds a 32-bit number.
pub fn put_number(out: &mut Vec<u8>, number: u32) {
    out.push(b'L');
    out.extend(number.to_be_bytes());
}

/// Adds a text, or none.
pub fn put_text(out: &mut Vec<u8>, text: Option<&[u8]>) {
    match text {
        Some(text) => {
            out.push(b't');
            out.extend(text);
            out.push(0);
        }
        None => out.push(b'N'),
    }
}

/// Adds bytes of any kind.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'x');
    out.extend((bytes.len() as u32).to_be_bytes());
    out.extend(bytes);
}
