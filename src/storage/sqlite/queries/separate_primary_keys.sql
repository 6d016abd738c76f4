SELECT count(*) FROM pragma_index_list(?1) WHERE origin = 'pk'
