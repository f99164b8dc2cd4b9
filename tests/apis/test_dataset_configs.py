from mmengine.config import Config

from mmfer.apis.dataset_configs import dataset_configs

A, B, C = (dict(type='mmfer.RAFDB', data_root=name) for name in 'abc')


def test_datasets_within_datasets_come_one_by_one_with_their_keys():
    cfg = Config(
        dict(
            train_dataloader=dict(
                dataset=dict(
                    type='mmfer.ConcatFaces',
                    datasets=[A, dict(type='ClassBalancedDataset', oversample_thr=0.1, dataset=B)],
                )
            ),
            val_dataloader=None,
            test_dataloader=dict(dataset=C),
        )
    )
    assert list(dataset_configs(cfg)) == [
        ('train_dataloader.dataset.datasets.0', A),
        ('train_dataloader.dataset.datasets.1.dataset', B),
        ('test_dataloader.dataset', C),
    ]
    assert [key for key, _ in dataset_configs(cfg, ['val', 'test'])] == ['test_dataloader.dataset']
