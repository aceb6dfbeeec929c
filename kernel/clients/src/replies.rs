use alloc::collections::VecDeque;

use borsh::{
    BorshDeserialize, BorshSerialize,
    io::{Error, ErrorKind, Read, Result as IoResult},
};
use bytes::Bytes;

/// Replies by their numbers, in ascending order. Nearly all come with the highest number yet, and go from the lowest up.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize)]
pub(crate) struct Replies(VecDeque<(u64, Bytes)>);

impl Replies {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The lowest number.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.0.front().map(|(number, _)| *number)
    }

    pub(crate) fn forget_oldest(&mut self) -> Option<Bytes> {
        self.0.pop_front().map(|(_, reply)| reply)
    }

    fn find(&self, number: u64) -> Result<usize, usize> {
        if self.0.back().is_none_or(|(last, _)| *last < number) {
            return Err(self.0.len());
        }
        self.0.binary_search_by_key(&number, |(known, _)| *known)
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Bytes> {
        let at = self.find(number).ok()?;
        self.0.get(at).map(|(_, reply)| reply)
    }

    /// Gives the reply whose place it takes, if there is one of that number.
    pub(crate) fn insert(&mut self, number: u64, reply: Bytes) -> Option<Bytes> {
        match self.find(number) {
            Ok(at) => {
                let known = self.0.get_mut(at)?;
                Some(core::mem::replace(&mut known.1, reply))
            }
            Err(at) => {
                self.0.insert(at, (number, reply));
                None
            }
        }
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Bytes> {
        self.0.iter().map(|(_, reply)| reply)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Bytes> {
        self.0.iter_mut().map(|(_, reply)| reply)
    }
}

/// The same bytes as a map's. Numbers that do not ascend are refused.
impl BorshDeserialize for Replies {
    fn deserialize_reader<R: Read>(reader: &mut R) -> IoResult<Self> {
        let replies = VecDeque::<(u64, Bytes)>::deserialize_reader(reader)?;
        let mut pairs = replies.iter().zip(replies.iter().skip(1));
        if pairs.any(|((one, _), (next, _))| one >= next) {
            let what = "a client's replies are not in the order of their numbers";
            return Err(Error::new(ErrorKind::InvalidData, what));
        }
        Ok(Self(replies))
    }
}

#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeMap, vec};

    use super::*;

    #[test]
    fn it_is_a_map() {
        let (mut replies, mut map) = (Replies::default(), BTreeMap::new());
        for number in [5, 6, 8, 7, 2, 6, 9] {
            let reply = Bytes::from(vec![number as u8]);
            assert_eq!(
                replies.insert(number, reply.clone()),
                map.insert(number, reply)
            );
        }
        assert!((0..12).all(|number| replies.get(number) == map.get(&number)));
        assert_eq!(borsh::to_vec(&replies).ok(), borsh::to_vec(&map).ok());
        assert_eq!(replies.oldest(), Some(2));
        assert_eq!(replies.forget_oldest(), map.pop_first().map(|(_, one)| one));
    }

    #[test]
    fn only_ascending_numbers_are_read() {
        for numbers in [[1_u64, 2], [2, 1], [1, 1]] {
            let pairs: VecDeque<_> = numbers.iter().map(|n| (*n, Bytes::new())).collect();
            let bytes = borsh::to_vec(&pairs).unwrap();
            assert_eq!(Replies::try_from_slice(&bytes).is_ok(), numbers == [1, 2]);
        }
    }
}
