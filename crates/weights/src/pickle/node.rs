//! What pickles are made of, without recursion: nodes that name each other by number.

use std::sync::Arc;

use crate::DType;
use crate::error::Fault;
use crate::tensor::Layout;

/// The number of a node.
pub(crate) type Id = u32;

/// Far more than any checkpoint of a model needs.
const MAX_NODES: usize = 1 << 22;

/// A value of a pickle.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    None,
    Bool(bool),
    Int(i64),
    /// An integer of more than 64 bits.
    LongInt,
    Float(f64),
    Str(Arc<str>),
    Bytes(Arc<[u8]>),
    Tuple(Vec<Id>),
    /// A list or set.
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// The name of a class or function.
    Global(Arc<str>),
    /// An instance of a class, or what a function returned: nothing of it is built.
    Object(Box<Object>),
    /// A storage's index in the pickle's list.
    Storage(usize),
    Tensor(Box<Layout>),
}

/// What a pickle says about an object.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    /// Name of its class, or of the function that returned it.
    pub class: Arc<str>,
    /// Arguments it was made with.
    pub arguments: Id,
    /// Entries, if it is a kind of dictionary.
    pub entries: Vec<(Id, Id)>,
    /// Elements, if it is a kind of list or set.
    pub items: Vec<Id>,
    /// Its attributes, as a rule a dictionary.
    pub state: Option<Id>,
}

/// A storage that tensors refer to.
#[derive(Debug, Clone)]
pub(crate) struct StorageRef {
    pub key: Arc<str>,
    pub dtype: DType,
    /// How many elements it claims to have.
    pub elements: usize,
}

/// The nodes of a pickle.
#[derive(Debug)]
pub(crate) struct Nodes {
    nodes: Vec<Node>,
}

impl Nodes {
    pub(crate) fn new() -> Self {
        Self { nodes: Vec::new() }
    }

    /// Adds a node.
    pub(crate) fn add(&mut self, node: Node) -> Result<Id, Fault> {
        if self.nodes.len() >= MAX_NODES {
            return Fault::refused(format!("it holds more than {MAX_NODES} values"));
        }
        self.nodes.push(node);
        Ok(self.nodes.len() as Id - 1)
    }

    pub(crate) fn get(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }

    pub(crate) fn get_mut(&mut self, id: Id) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    /// The elements of a tuple; a fault names what should have been one.
    pub(crate) fn tuple(&self, id: Id, what: &str) -> Result<&[Id], Fault> {
        match self.get(id) {
            Node::Tuple(items) => Ok(items),
            _ => Fault::damaged(format!("{what} is no tuple")),
        }
    }

    /// The text of a string; a fault names what should have been one.
    pub(crate) fn text(&self, id: Id, what: &str) -> Result<&Arc<str>, Fault> {
        match self.get(id) {
            Node::Str(text) => Ok(text),
            _ => Fault::damaged(format!("{what} is no text")),
        }
    }

    /// A size; a fault names what should have been one.
    pub(crate) fn size(&self, id: Id, what: &str) -> Result<usize, Fault> {
        match *self.get(id) {
            Node::Int(number) if number >= 0 => Ok(number as usize),
            _ => Fault::damaged(format!("{what} is no size")),
        }
    }

    /// The pairs of a dictionary, or of an object that is a kind of one.
    pub(crate) fn pairs(&self, id: Id) -> &[(Id, Id)] {
        match self.get(id) {
            Node::Dict(pairs) => pairs,
            Node::Object(object) => &object.entries,
            _ => &[],
        }
    }

    /// The value under a text key; the last one counts, as in Python.
    pub(crate) fn entry(&self, id: Id, key: &str) -> Option<Id> {
        let found = |&&(k, _): &&(Id, Id)| matches!(self.get(k), Node::Str(text) if **text == *key);
        self.pairs(id).iter().rev().find(found).map(|&(_, value)| value)
    }
}
