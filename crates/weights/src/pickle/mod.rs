//! An interpreter of pickles that builds values and calls nothing.
//!
//! The opcodes are those of Python's `pickletools`, protocols 2 to 5. Nothing recurses, every
//! opcode takes bytes of the file, and what one opcode may add is bounded by the bytes it takes,
//! so that a pickle can neither hang nor exhaust memory.

mod node;
mod reader;

use std::collections::HashMap;
use std::sync::Arc;

pub(crate) use node::{Id, Node, Nodes, Object, StorageRef};
use reader::Reader;

use crate::error::Fault;
use crate::torch;

/// Opcodes of a pickle; about eight times what its nodes may be.
const MAX_STEPS: usize = 1 << 25;
/// Longer names of classes exist nowhere.
const MAX_NAME: usize = 1024;

/// A pickle that was read.
#[derive(Debug)]
pub(crate) struct Pickle {
    pub nodes: Nodes,
    pub storages: Vec<StorageRef>,
    pub root: Id,
    /// Bytes up to and with the end of the pickle.
    pub length: usize,
}

/// Reads the pickle at the start of the bytes.
pub(crate) fn read(bytes: &[u8]) -> Result<Pickle, Fault> {
    let mut machine = Machine {
        nodes: Nodes::new(),
        storages: Vec::new(),
        storage_of_key: HashMap::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        spare: bytes.len(),
    };
    let mut reader = Reader::new(bytes);
    for _ in 0..MAX_STEPS {
        if machine.step(&mut reader)? {
            let root = machine.pop()?;
            let Machine { nodes, storages, .. } = machine;
            return Ok(Pickle { nodes, storages, root, length: reader.position() });
        }
    }
    Fault::refused(format!("its pickle has more than {MAX_STEPS} steps"))
}

/// The state between two opcodes.
pub(crate) struct Machine {
    pub nodes: Nodes,
    pub storages: Vec<StorageRef>,
    pub storage_of_key: HashMap<Arc<str>, usize>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// What calls may still copy, in elements. Each original takes at least as many bytes.
    spare: usize,
}

impl Machine {
    /// Runs one opcode; true at the end of the pickle.
    fn step(&mut self, reader: &mut Reader) -> Result<bool, Fault> {
        let node = match reader.byte()? {
            b'.' => return Ok(true),
            // Protocol and frames: nothing depends on them.
            0x80 => {
                let protocol = reader.byte()?;
                if !(2..=5).contains(&protocol) {
                    return Fault::refused(format!("its pickle has protocol {protocol}"));
                }
                return Ok(false);
            }
            0x95 => {
                reader.take(8)?;
                return Ok(false);
            }
            // The stack and the memo.
            b'(' => {
                self.marks.push(self.stack.len());
                return Ok(false);
            }
            b'0' => {
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop()?;
                }
                return Ok(false);
            }
            b'1' => {
                self.pop_mark()?;
                return Ok(false);
            }
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
                return Ok(false);
            }
            b'q' => return self.remember(reader.byte()?.into()),
            b'r' => return self.remember(reader.u32()?),
            0x94 => return self.remember(self.memo.len() as u32),
            b'h' => return self.recall(reader.byte()?.into()),
            b'j' => return self.recall(reader.u32()?),
            // Plain values.
            b'N' => Node::None,
            0x88 => Node::Bool(true),
            0x89 => Node::Bool(false),
            b'K' => Node::Int(reader.byte()?.into()),
            b'M' => Node::Int(u16::from_le_bytes(reader.array()?).into()),
            b'J' => Node::Int(i32::from_le_bytes(reader.array()?).into()),
            0x8a => {
                let length = reader.byte()?.into();
                long(reader.take(length)?)
            }
            0x8b => {
                let length = reader.u32()? as usize;
                long(reader.take(length)?)
            }
            b'G' => Node::Float(f64::from_be_bytes(reader.array()?)),
            b'X' => Node::Str(reader.text4()?),
            0x8c => Node::Str(reader.text1()?),
            0x8d => Node::Str(reader.text8()?),
            // Python 2's strings are text or bytes.
            b'T' => text_or_bytes(reader.bytes4()?),
            b'U' => text_or_bytes(reader.bytes1()?),
            b'B' => Node::Bytes(reader.bytes4()?.into()),
            b'C' => Node::Bytes(reader.bytes1()?.into()),
            0x8e | 0x96 => Node::Bytes(reader.bytes8()?.into()),
            // Containers.
            b')' => Node::Tuple(vec![]),
            b']' | 0x8f => Node::List(vec![]),
            b'}' => Node::Dict(vec![]),
            b't' => Node::Tuple(self.pop_mark()?),
            0x85 => Node::Tuple(vec![self.pop()?]),
            0x86 => {
                let last = self.pop()?;
                Node::Tuple(vec![self.pop()?, last])
            }
            0x87 => {
                let (last, middle) = (self.pop()?, self.pop()?);
                Node::Tuple(vec![self.pop()?, middle, last])
            }
            b'l' | 0x91 => Node::List(self.pop_mark()?),
            b'd' => Node::Dict(pairs(&self.pop_mark()?)?),
            b'a' => {
                let item = self.pop()?;
                return self.append(&[item]);
            }
            b'e' | 0x90 => {
                let items = self.pop_mark()?;
                return self.append(&items);
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                return self.insert(vec![(key, value)]);
            }
            b'u' => {
                let items = self.pop_mark()?;
                return self.insert(pairs(&items)?);
            }
            // Classes, calls and objects.
            b'c' => {
                let (module, name) = (reader.line()?, reader.line()?);
                global(module, name)?
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let module = self.nodes.text(module, "a module's name")?;
                global(module, self.nodes.text(name, "a class's name")?)?
            }
            0x81 => {
                let (arguments, class) = (self.pop()?, self.pop()?);
                return self.object(class, arguments);
            }
            0x92 => {
                let (_keywords, arguments, class) = (self.pop()?, self.pop()?, self.pop()?);
                return self.object(class, arguments);
            }
            b'R' => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                let result = torch::call(self, callable, arguments)?;
                self.stack.push(result);
                return Ok(false);
            }
            b'b' => {
                let state = self.pop()?;
                let top = self.top()?;
                // Dictionaries have states too (`_metadata`), tensors of subclasses as well.
                if let Node::Object(object) = self.nodes.get_mut(top) {
                    object.state = Some(state);
                }
                return Ok(false);
            }
            b'Q' => {
                let id = self.pop()?;
                torch::storage(self, id)?
            }
            opcode => {
                let place = reader.position() - 1;
                return Fault::refused(format!(
                    "its pickle has the opcode {opcode:#04x} at byte {place}, which PyTorch does \
                     not write"
                ));
            }
        };
        let id = self.nodes.add(node)?;
        self.stack.push(id);
        Ok(false)
    }

    fn pop(&mut self) -> Result<Id, Fault> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.pop() {
            Some(id) if self.stack.len() >= floor => Ok(id),
            _ => Fault::damaged("its pickle takes a value that isn't there"),
        }
    }

    fn top(&mut self) -> Result<Id, Fault> {
        let top = self.pop()?;
        self.stack.push(top);
        Ok(top)
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>, Fault> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => Fault::damaged("its pickle takes a mark that isn't there"),
        }
    }

    fn remember(&mut self, key: u32) -> Result<bool, Fault> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(false)
    }

    fn recall(&mut self, key: u32) -> Result<bool, Fault> {
        match self.memo.get(&key) {
            Some(&id) => self.stack.push(id),
            None => return Fault::damaged("its pickle recalls a value it never had"),
        }
        Ok(false)
    }

    fn append(&mut self, items: &[Id]) -> Result<bool, Fault> {
        let top = self.top()?;
        match self.nodes.get_mut(top) {
            Node::List(list) => list.extend(items),
            Node::Object(object) => object.items.extend(items),
            _ => return Fault::damaged("its pickle appends to something that is no list"),
        }
        Ok(false)
    }

    fn insert(&mut self, pairs: Vec<(Id, Id)>) -> Result<bool, Fault> {
        let top = self.top()?;
        match self.nodes.get_mut(top) {
            Node::Dict(dict) => dict.extend(pairs),
            Node::Object(object) => object.entries.extend(pairs),
            _ => return Fault::damaged("its pickle sets an entry of something without entries"),
        }
        Ok(false)
    }

    fn object(&mut self, class: Id, arguments: Id) -> Result<bool, Fault> {
        let object = self.opaque(class, arguments)?;
        self.stack.push(object);
        Ok(false)
    }

    /// An object of which nothing but its parts is known.
    pub(crate) fn opaque(&mut self, class: Id, arguments: Id) -> Result<Id, Fault> {
        let class = match self.nodes.get(class) {
            Node::Global(name) => name.clone(),
            Node::Object(object) => object.class.clone(),
            _ => return Fault::damaged("its pickle calls something that is no function"),
        };
        let (entries, items) = (vec![], vec![]);
        let object = Object { class, arguments, entries, items, state: None };
        self.nodes.add(Node::Object(Box::new(object)))
    }

    /// Allows a call to copy so many elements.
    pub(crate) fn spend(&mut self, elements: usize) -> Result<(), Fault> {
        match self.spare.checked_sub(elements) {
            Some(spare) => self.spare = spare,
            None => return Fault::refused("its pickle copies the same values again and again"),
        }
        Ok(())
    }
}

/// Pairs of alternating keys and values.
fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, Fault> {
    let (pairs, rest) = items.as_chunks::<2>();
    if !rest.is_empty() {
        return Fault::damaged("a dictionary has a key without value");
    }
    Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
}

fn global(module: &str, name: &str) -> Result<Node, Fault> {
    if module.len() + name.len() > MAX_NAME {
        return Fault::refused("its pickle names a class with more than a thousand letters");
    }
    Ok(Node::Global(format!("{module}.{name}").into()))
}

fn text_or_bytes(bytes: &[u8]) -> Node {
    match std::str::from_utf8(bytes) {
        Ok(text) => Node::Str(text.into()),
        Err(_) => Node::Bytes(bytes.into()),
    }
}

/// A two's complement integer of any length.
fn long(bytes: &[u8]) -> Node {
    if bytes.len() > 8 {
        return Node::LongInt;
    }
    let fill = if bytes.last().is_some_and(|&byte| byte >= 0x80) { 0xff } else { 0 };
    let mut wide = [fill; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    Node::Int(i64::from_le_bytes(wide))
}

#[cfg(test)]
mod tests;
